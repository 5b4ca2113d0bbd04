"""The file of memories. Owner, memory and key are columns: no name of a script becomes a path."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from llmspell_protocol import ValueRejected, pack, unpack

from .._errors import BridgeError
from .._private_file import make_private_file, set_up
from .._threads import Job
from ._config import MemoryConfig

FILE: Final = "memory.db"

BUSY: Final = 5.0
"""Seconds to wait for another process that writes. Its transactions take milliseconds."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries(
    owner TEXT, memory TEXT, key TEXT, value BLOB NOT NULL,
    PRIMARY KEY (owner, memory, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns(
    number INTEGER PRIMARY KEY, owner TEXT, memory TEXT, value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS turns_of ON turns(owner, memory, number);
"""

_USED: Final = """
SELECT count(*), coalesce(sum(length(value)), 0) FROM (
    SELECT value FROM entries WHERE owner = :owner
    UNION ALL SELECT value FROM turns WHERE owner = :owner
)
"""
_MINE: Final = "owner = ? AND memory = ?"


class Store:
    """One owner's view of the file; opened anew for each call."""

    def __init__(self, job: Job, directory: str, owner: str, config: MemoryConfig) -> None:
        self._job = job
        self._path = os.path.join(directory, FILE)
        self._owner = owner
        self._config = config

    def get(self, memory: str, key: str) -> Any:
        """The value of a key; None if there is none."""
        with self._open() as db:
            sql = f"SELECT value FROM entries WHERE {_MINE} AND key = ?"  # noqa: S608
            row = db.execute(sql, (self._owner, memory, key)).fetchone()
        return None if row is None else unpack(row[0])

    def set(self, memory: str, key: str, value: Any) -> None:
        """Give a key a value."""
        with self._change() as db:
            row = (self._owner, memory, key, self._packed(value))
            db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", row)
            self._check_quota(db)

    def delete(self, memory: str, key: str) -> bool:
        """Forget a key. Whether there was one."""
        with self._change() as db:
            sql = f"DELETE FROM entries WHERE {_MINE} AND key = ?"  # noqa: S608
            return db.execute(sql, (self._owner, memory, key)).rowcount > 0

    def keys(self, memory: str, prefix: str) -> list[str]:
        """Keys that begin with `prefix`, sorted."""
        sql = f"SELECT key FROM entries WHERE {_MINE} AND substr(key, 1, ?) = ? ORDER BY key"  # noqa: S608
        with self._open() as db:
            found = db.execute(sql, (self._owner, memory, len(prefix), prefix))
            return [key for (key,) in found]

    def append(self, memory: str, value: Any) -> int:
        """Add a turn. How many there are."""
        with self._change() as db:
            row = (self._owner, memory, self._packed(value))
            db.execute("INSERT INTO turns(owner, memory, value) VALUES (?, ?, ?)", row)
            self._check_quota(db)
            sql = f"SELECT count(*) FROM turns WHERE {_MINE}"  # noqa: S608
            return int(db.execute(sql, (self._owner, memory)).fetchone()[0])

    def history(self, memory: str, limit: int, most: int) -> list[Any]:
        """The last `limit` turns, the oldest first, which may be `most` bytes together."""
        sql = f"SELECT value FROM turns WHERE {_MINE} ORDER BY number DESC LIMIT ?"  # noqa: S608
        with self._open() as db:
            found: list[bytes] = []
            for (value,) in db.execute(sql, (self._owner, memory, limit)):
                found.append(value)
                most -= len(value)
                if most < 0:
                    message = "history: more than max_response; ask for fewer turns with limit"
                    raise BridgeError("Limit", message, field="limit")
        return [unpack(value) for value in reversed(found)]

    def clear(self, memory: str) -> int:
        """Forget every key and turn of a memory. How many there were."""
        with self._change() as db:
            return sum(
                db.execute(f"DELETE FROM {table} WHERE {_MINE}", (self._owner, memory)).rowcount  # noqa: S608
                for table in ("entries", "turns")
            )

    def _packed(self, value: Any) -> bytes:
        try:
            data = pack(value)
        except ValueRejected as error:
            raise BridgeError("Validation", f"value: {error.reason}", field="value") from None
        if len(data) > self._config.max_value:
            message = f"value: {len(data)} bytes; the limit is {self._config.max_value} (max_value)"
            raise BridgeError("Limit", message, field="value")
        return data

    def _check_quota(self, db: sqlite3.Connection) -> None:
        count, size = db.execute(_USED, {"owner": self._owner}).fetchone()
        config = self._config
        if count > config.max_entries:
            message = f"memory is full: {config.max_entries} keys and turns (max_entries)"
            raise BridgeError("Limit", message)
        if size > config.max_total:
            message = f"memory is full: {config.max_total} bytes (max_total)"
            raise BridgeError("Limit", message)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # Made here and not by SQLite, so that it belongs to its owner alone.
        make_private_file(self._path)
        connect = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None)
        with contextlib.closing(connect) as db:
            with set_up:
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # safe with WAL: a crash loses no consistency
            db.executescript(_SCHEMA)
            yield db

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Keep a change whole, or not at all when it fails or nobody waits for it any more."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                self._job.check()
            except BaseException:
                db.rollback()
                raise
            db.commit()
