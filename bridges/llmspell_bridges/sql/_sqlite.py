"""An SQLite file. What a statement may touch is decided by SQLite itself, while it compiles it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from .._errors import BridgeError
from .._threads import Job
from ._config import ALL, SQLITE, DatabaseConfig
from ._statement import collect, parse
from ._types import Changes, Column, Parameters, Rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

BUSY: Final = 2.0
"""Seconds to wait for another writer. SQLite cannot be interrupted meanwhile."""

STEPS: Final = 1000
"""Instructions of SQLite's machine between two looks at whether the call is still wanted: tens of
microseconds."""

MAX_SQL: Final = 100_000
"""Bytes of a statement: SQLite's own limit is 1 GB."""

MAX_HEAP: Final = 128 * 1024 * 1024
"""Bytes: several statements at once, each of which sorts some thousand long rows."""

FUNCTION_TABLES: Final = frozenset({"json_each", "json_tree"})
"""Tables that are functions of their arguments and hold nothing."""

_EXISTING: Final = "SELECT name FROM pragma_table_list UNION SELECT name FROM pragma_module_list"

_ALWAYS: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
_CHANGES: Final = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "fts3_tokenizer"})


class _Guard:
    """SQLite asks it about each thing that a statement would do (sqlite3_set_authorizer).

    The view or trigger that SQLite names as the reason is not looked at: a common table expression
    can carry the same name. A view therefore needs its tables granted.
    """

    def __init__(
        self, config: DatabaseConfig, existing: frozenset[str] = frozenset(), *, write: bool = False
    ) -> None:
        """`existing` are the tables and the modules that there are, in lower case."""
        self._existing = existing
        self._all = config.tables == ALL
        self._tables = {name.lower() for name in config.tables}
        self._write = write
        self.denied = ""

    def __call__(
        self, action: int, first: str | None, second: str | None, schema: str | None, _: str | None
    ) -> int:
        if action in _ALWAYS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            name = (second or "").lower()
            return self._judge(name not in _FORBIDDEN_FUNCTIONS, f"the function {name}")
        if action == sqlite3.SQLITE_READ:
            table = first or ""
            # Of a table expression, too, SQLite asks this when no column of it is read.
            expression = schema is None and not second and table.lower() not in self._existing
            return self._judge(expression or self.allows(table), f"the table {table}")
        if action in _CHANGES and self._write:
            return self._judge(self.allows(first or ""), f"the table {first}")
        return self._judge(granted=False, what="a statement of this kind")

    def allows(self, table: str) -> bool:
        name = table.lower()
        return self._all or name in self._tables or name in FUNCTION_TABLES

    def _judge(self, granted: bool, what: str) -> int:
        if granted:
            return sqlite3.SQLITE_OK
        self.denied = self.denied or what
        return sqlite3.SQLITE_DENY


class Sqlite:
    """Opens the file anew for each call, so that nothing of one spell is left for the next."""

    def __init__(self, name: str, url: str, config: DatabaseConfig) -> None:
        self._name = name
        self._path = "/" + url.removeprefix(SQLITE)
        self._config = config

    def query(self, job: Job, sql: str, params: Parameters) -> Rows:
        """Rows of a statement that cannot change anything."""
        with self._open(job, write=False) as (connection, raw), self._guarded(raw, write=False):
            result = connection.execute(parse(sql, params), params)
            if not result.returns_rows:
                raise BridgeError("Validation", "sql: no query; use sql.execute", field="sql")
            return Rows(columns=list(result.keys()), rows=collect(job, result, self._config))

    def execute(self, job: Job, sql: str, params: Parameters) -> Changes:
        """Perform a statement, whole or not at all."""
        with self._open(job, write=True) as (connection, raw):
            raw.execute("BEGIN IMMEDIATE")
            try:
                with self._guarded(raw, write=True):
                    result = connection.execute(parse(sql, params), params)
                    rows = collect(job, result, self._config) if result.returns_rows else []
                job.check()
            except BaseException:
                raw.rollback()
                raise
            raw.commit()
            return Changes(changed=max(0, result.rowcount), rows=rows)

    def tables(self, job: Job) -> list[str]:
        """Names of the tables and views that are granted."""
        from sqlalchemy import inspect

        guard = _Guard(self._config)
        with self._open(job, write=False) as (connection, _):
            found = inspect(connection)
            names = [*found.get_table_names(), *found.get_view_names()]
        return sorted(name for name in names if guard.allows(name))

    def columns(self, job: Job, table: str) -> list[Column]:
        """Columns of a granted table."""
        from sqlalchemy import inspect

        with self._open(job, write=False) as (connection, _):
            return describe(inspect(connection), table)

    @contextlib.contextmanager
    def _open(self, job: Job, *, write: bool) -> Iterator[tuple[Connection, sqlite3.Connection]]:
        from sqlalchemy import create_engine, exc, pool

        def connect() -> sqlite3.Connection:
            mode = "rw" if write else "ro"  # neither makes a file that is not there
            raw = sqlite3.connect(
                f"file:{quote(self._path)}?mode={mode}",
                uri=True,
                timeout=BUSY,
                isolation_level=None,
                check_same_thread=False,
            )
            with contextlib.ExitStack() as undo:
                undo.callback(raw.close)
                raw.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
                raw.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MAX_SQL)
                raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(self._config.max_bytes, MAX_SQL))
                # What a statement sorts or groups must fill neither the disk nor the memory. The limit is
                # for all of the process's SQLite; a smaller one that somebody else has set stays.
                raw.execute("PRAGMA temp_store = MEMORY")
                raw.execute(f"PRAGMA hard_heap_limit = {MAX_HEAP}")
                # Functions with effects are not for views and triggers of a file that others wrote.
                raw.execute("PRAGMA trusted_schema = OFF")
                if not write:
                    raw.execute("PRAGMA query_only = ON")
                raw.set_progress_handler(lambda: job.given_up, STEPS)
                undo.pop_all()
            return raw

        engine = create_engine("sqlite://", creator=connect, poolclass=pool.NullPool)
        try:
            with engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                yield connection, raw
        except exc.DBAPIError as error:
            job.check()
            raise explain(self._name, error.orig) from None
        except sqlite3.Error as error:
            job.check()
            raise explain(self._name, error) from None
        except MemoryError:  # how sqlite3 tells that its heap is full
            message = f"{self._name}: the statement needs too much memory; ask for less at a time"
            raise BridgeError("Limit", message, field="sql") from None

    @contextlib.contextmanager
    def _guarded(self, raw: sqlite3.Connection, *, write: bool) -> Iterator[None]:
        from sqlalchemy import exc

        existing = frozenset(name.lower() for (name,) in raw.execute(_EXISTING))
        guard = _Guard(self._config, existing, write=write)
        raw.set_authorizer(guard)
        try:
            yield
        except exc.DBAPIError:
            if not guard.denied:
                raise
            message = f"{self._name}: {guard.denied} is not granted to spells"
            raise BridgeError("Policy", message, field="sql") from None
        finally:
            raw.set_authorizer(None)


def describe(inspector: Any, table: str) -> list[Column]:
    """Columns as the database describes them."""
    from sqlalchemy import exc

    try:
        keys = inspector.get_pk_constraint(table)["constrained_columns"]
        return [
            Column(
                name=column["name"],
                type=str(column["type"]),
                nullable=bool(column["nullable"]),
                primary_key=column["name"] in keys,
            )
            for column in inspector.get_columns(table)
        ]
    except exc.NoSuchTableError:
        raise BridgeError("Validation", f"table: there is no {table}", field="table") from None


def explain(name: str, error: BaseException | None) -> BridgeError:
    """What SQLite says, as one of the documented kinds."""
    code = getattr(error, "sqlite_errorcode", None)
    code = code & 0xFF if code is not None else None  # without the extended part
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BridgeError("Provider", f"{name}: another writer holds the database", retryable=True)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM):
        message = f"{name}: the file cannot be opened as a database; see its url in the config"
        return BridgeError("Configuration", message)
    if code == sqlite3.SQLITE_TOOBIG or isinstance(error, sqlite3.DataError):
        return BridgeError("Limit", f"{name}: a value is too large (max_bytes)")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return BridgeError("Provider", f"{name}: {error}")
    return BridgeError("Validation", f"{name}: {error}", field="sql")
