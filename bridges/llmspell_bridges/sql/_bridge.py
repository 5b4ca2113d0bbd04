"""The bridge `sql`: names, limits and threads; SQLAlchemy and the databases do the rest."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Callable
from typing import ClassVar, TypeVar

from .._context import CallContext
from .._errors import BridgeError
from .._extras import imported
from .._interface import Bridge, BridgeConfig, method
from .._threads import Job, Threads
from ._config import POSTGRESQL, SQLITE, DatabaseConfig, SqlConfig
from ._postgres import Postgres
from ._sqlite import Sqlite
from ._types import Changes, Column, Parameters, Rows

T = TypeVar("T")


class SqlBridge(Bridge):
    """Databases that the config names: queries with parameters, read-only unless it says else."""

    name: ClassVar[str] = "sql"
    config: ClassVar[type[BridgeConfig]] = SqlConfig

    def __init__(self, config: SqlConfig) -> None:
        for name, database in config.databases.items():
            if (database.url is None) == (database.url_env is None):
                field = f"sql.databases.{name}"
                raise BridgeError("Configuration", f"[{field}] set url or url_env", field=field)
        self._config = config
        self._threads = Threads()

    @method(effect="read")
    async def query(self, ctx: CallContext, db: str, sql: str, params: Parameters = {}) -> Rows:  # noqa: B006
        """Rows that one statement finds; it cannot change anything. `:name` is a parameter."""
        config = self._named(ctx, db)
        return await self._work(ctx, db, config, lambda job, at: at.query(job, sql, params))

    @method(effect="write")
    async def execute(
        self,
        ctx: CallContext,
        db: str,
        sql: str,
        params: Parameters = {},  # noqa: B006
    ) -> Changes:
        """Insert, update or delete rows with one statement, in a database of mode `write`."""
        config = self._named(ctx, db)
        if config.mode != "write":
            raise BridgeError("Policy", f"{db} is read-only for spells", field="db")
        return await self._work(ctx, db, config, lambda job, at: at.execute(job, sql, params))

    @method(effect="read")
    async def tables(self, ctx: CallContext, db: str) -> list[str]:
        """Names of the tables that the spell may use."""
        return await self._work(ctx, db, self._named(ctx, db), lambda job, at: at.tables(job))

    @method(effect="read")
    async def columns(self, ctx: CallContext, db: str, table: str) -> list[Column]:
        """Columns of a table, in order."""
        if table not in await self.tables(ctx, db):
            raise BridgeError(
                "Policy", f"{db}: there is no table {table} for spells", field="table"
            )
        config = self._named(ctx, db)
        return await self._work(ctx, db, config, lambda job, at: at.columns(job, table))

    def _named(self, ctx: CallContext, db: str) -> DatabaseConfig:
        ctx.note(database=db)
        known = self._config.databases
        if db in known:
            return known[db]
        near = difflib.get_close_matches(db, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        message = f"db: the config names no database '{db}'{hint}"
        raise BridgeError("Configuration", message, field="db")

    async def _work(
        self,
        ctx: CallContext,
        db: str,
        config: DatabaseConfig,
        work: Callable[[Job, Sqlite | Postgres], T],
    ) -> T:
        url = _url(db, config)
        lite = url.startswith(SQLITE)
        await imported("data", "sqlalchemy", *(() if lite else ("psycopg",)))
        at: Sqlite | Postgres = (
            Sqlite(db, url, config)
            if lite
            else Postgres(db, url, config, require_tls=ctx.policy.require_tls)
        )
        seconds = min(config.timeout, ctx.call_timeout())
        try:
            async with asyncio.timeout(seconds):
                return await self._threads.run(lambda job: work(job, at))
        except TimeoutError:
            message = f"{db}: no answer within {seconds:g} s"
            raise BridgeError("Timeout", message, retryable=True, duration=seconds) from None


def _url(db: str, config: DatabaseConfig) -> str:
    if config.url is not None:
        return config.url
    url = os.environ.get(config.url_env or "", "")
    if not url.startswith((SQLITE, POSTGRESQL)):
        message = (
            f"{db}: {config.url_env} is not set to an address of SQLite or PostgreSQL: "
            f"{SQLITE}path or {POSTGRESQL}host/name"
        )
        raise BridgeError("Configuration", message)
    return url
