"""A PostgreSQL server. Read-only, one statement and the time are the server's business to enforce.

Tables are not: a function may read any table that the role may, so grants belong to the role. The
config says `tables = ["*"]` for that, and any other list is refused.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .._domains import is_loopback
from .._errors import BridgeError
from .._threads import Job
from ._config import ALL, DatabaseConfig
from ._sqlite import describe
from ._statement import BATCH, collect, parse
from ._types import Changes, Column, Parameters, Rows

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

CONNECT_TIMEOUT: Final = 5
"""Seconds until a server counts as not there; libpq takes whole ones, and at least two."""

_CHANGE: Final = re.compile(r"\s*(insert|update|delete|merge|with)\b", re.IGNORECASE)
"""How a statement that changes rows begins. The role's grants are the wall; this keeps what is no
change of rows (SET, COPY, DO, CALL, LISTEN) out of a call that would otherwise pass it on."""

_SAFE_MODES: Final = frozenset({"require", "verify-ca", "verify-full"})
"""Values of libpq's `sslmode` under which nothing is sent in the clear."""

_CLASSES: Final = {
    "08": ("Network", True),
    "28": ("Configuration", False),
    "3D": ("Configuration", False),
    "25": ("Policy", False),  # a change in a read-only transaction
    "40": ("Provider", True),
    "42": ("Validation", False),
    "53": ("Provider", True),
    "57": ("Provider", True),
}
"""Classes of SQLSTATE, and the kinds that they are to scripts. The rest is `Validation`."""

_NO_PRIVILEGE: Final = "42501"
_CANCELLED: Final = "57014"


class Postgres:
    """Connects anew for each call: a session's settings, locks and temporary tables die with it."""

    def __init__(self, name: str, url: str, config: DatabaseConfig, *, require_tls: bool) -> None:
        from sqlalchemy import make_url

        if config.tables != ALL:
            message = (
                f"{name}: tables of PostgreSQL are granted to its role, not listed here: "
                'do that, and set tables = ["*"]'
            )
            raise BridgeError("Configuration", message, field=f"sql.databases.{name}.tables")
        self._name = name
        self._url = secured(make_url(url), require_tls=require_tls)
        self._config = config

    def query(self, job: Job, sql: str, params: Parameters) -> Rows:
        """Rows of a statement, read through a cursor: it must be a SELECT, and is not read ahead."""
        with self._open(job, write=False) as connection:
            clause = parse(sql, params).execution_options(stream_results=True, max_row_buffer=BATCH)
            with contextlib.closing(connection.execute(clause, params)) as result:
                return Rows(columns=list(result.keys()), rows=collect(job, result, self._config))

    def execute(self, job: Job, sql: str, params: Parameters) -> Changes:
        """Perform a statement, whole or not at all."""
        if not _CHANGE.match(sql):
            message = "sql: must begin with INSERT, UPDATE, DELETE, MERGE or WITH"
            raise BridgeError("Validation", message, field="sql")
        with self._open(job, write=True) as connection:
            result = connection.execute(parse(sql, params), params)
            changed = max(0, result.rowcount)
            rows = collect(job, result, self._config) if result.returns_rows else []
            job.check()
            connection.commit()
            return Changes(changed=changed, rows=rows)

    def tables(self, job: Job) -> list[str]:
        """Names of the tables and views of the schema `public`, or the role's own."""
        from sqlalchemy import inspect

        with self._open(job, write=False) as connection:
            found = inspect(connection)
            return sorted([*found.get_table_names(), *found.get_view_names()])

    def columns(self, job: Job, table: str) -> list[Column]:
        """Columns of a table."""
        from sqlalchemy import inspect

        with self._open(job, write=False) as connection:
            return describe(inspect(connection), table)

    @contextlib.contextmanager
    def _open(self, job: Job, *, write: bool) -> Iterator[Connection]:
        from sqlalchemy import create_engine, exc, pool, text

        engine = create_engine(
            self._url,
            poolclass=pool.NullPool,
            hide_parameters=True,
            # Prepared at once: the server then takes one statement and no more.
            connect_args={"connect_timeout": CONNECT_TIMEOUT, "prepare_threshold": 0},
        )
        try:
            with engine.connect() as opened:
                connection = opened.execution_options(postgresql_readonly=not write)
                raw: Any = connection.connection.driver_connection
                job.on_give_up(lambda: raw.cancel_safe(timeout=CONNECT_TIMEOUT))
                # A query, not SET: once one was made, the transaction cannot become a writing one.
                limit = text("SELECT set_config('statement_timeout', :most, true)")
                connection.execute(limit, {"most": str(round(self._config.timeout * 1000))})
                yield connection
        except exc.DBAPIError as error:
            job.check()
            raise explain(self._name, error.orig) from None


def secured(url: URL, *, require_tls: bool) -> URL:
    """`url`, with TLS demanded of a server that is not this machine, if the policy wants it."""
    host = url.host or str(url.query.get("host", ""))
    local = not host or host.startswith("/") or is_loopback(host)
    if local or not require_tls or url.query.get("sslmode") in _SAFE_MODES:
        return url
    return url.update_query_dict({"sslmode": "require"})


def explain(name: str, error: BaseException | None) -> BridgeError:
    """What the server says, as one of the documented kinds. Never the address or the role."""
    state = getattr(error, "sqlstate", None)
    diagnosis = getattr(getattr(error, "diag", None), "message_primary", None)
    if state is None:
        return BridgeError("Network", f"{name}: the server cannot be reached", retryable=True)
    if state == _CANCELLED:
        return BridgeError("Timeout", f"{name}: the statement took too long", retryable=True)
    if state == _NO_PRIVILEGE:
        return BridgeError("Policy", f"{name}: {diagnosis}", field="sql")
    kind, retryable = _CLASSES.get(state[:2], ("Validation", False))
    if kind == "Configuration":
        return BridgeError("Configuration", f"{name}: the server refuses us; see its url")
    field = "sql" if kind in ("Validation", "Policy") else None
    return BridgeError(kind, f"{name}: {diagnosis}", retryable=retryable, field=field)  # type: ignore[arg-type]
