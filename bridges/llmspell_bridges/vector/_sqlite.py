"""Vectors in a file of SQLite: sqlite-vec compares them, FTS5 finds words.

Every search looks at every vector of the collection: exact, and fast enough up to some hundred
thousand. Each owner has a file, so that neither quotas nor the statistics of words are shared.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .._errors import BridgeError
from .._private_file import make_private_file, set_up
from .._threads import Job
from ._config import StoreConfig
from ._filter import Condition
from ._types import Collection, Match, Point, Query

if TYPE_CHECKING:
    import apsw

BUSY: Final = 5000
"""Milliseconds to wait for another process that writes."""

STEPS: Final = 1000
"""Instructions of SQLite between two looks at whether the call is still wanted."""

MAX_WORDS: Final = 32
"""Words of a hybrid search that are looked up: those of a long question."""

RANK_CONSTANT: Final = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009), who found it by experiment."""

HYBRID_DEPTH: Final = 5
"""Each ranking is this many times as long as the answer, so that what is second in both can win."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS collections(name TEXT PRIMARY KEY, dimensions INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS items(
    number INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL,
    vector BLOB NOT NULL, text TEXT, metadata TEXT NOT NULL, UNIQUE (collection, id)
);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text);
CREATE TRIGGER IF NOT EXISTS forget AFTER DELETE ON items BEGIN
    DELETE FROM words WHERE rowid = old.number;
END;
CREATE TRIGGER IF NOT EXISTS learn AFTER INSERT ON items WHEN new.text IS NOT NULL BEGIN
    INSERT INTO words(rowid, text) VALUES (new.number, new.text);
END;
"""

_SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "ne": "<>"}


class SqliteStore:
    """One owner's file; opened anew for each call."""

    def __init__(
        self, job: Job, directory: str, section: str, owner: str, config: StoreConfig
    ) -> None:
        """`section` is the bridge's: each has files of its own."""
        digest = hashlib.sha256(owner.encode()).hexdigest()[:32]
        self._path = os.path.join(directory, f"{section}-{digest}.db")
        self._job = job
        self._config = config

    def upsert(self, name: str, points: list[Point]) -> int:
        """See `Store`."""
        with self._change() as db:
            size = len(points[0].vector)
            db.execute("INSERT OR IGNORE INTO collections VALUES (?, ?)", (name, size))
            sql = "SELECT dimensions FROM collections WHERE name = ?"
            dimensions = db.execute(sql, (name,)).get
            for point in points:
                self._put(db, name, point, dimensions)
            if (count := db.execute("SELECT count(*) FROM items").get) > self._config.max_items:
                message = f"{count} items; the limit is {self._config.max_items} (max_items)"
                raise BridgeError("Limit", message)
        return len(points)

    def search(self, name: str, query: Query) -> list[Match]:
        """See `Store`."""
        with self._open() as db:
            sql = "SELECT dimensions FROM collections WHERE name = ?"
            dimensions = db.execute(sql, (name,)).get
            if dimensions is None:
                return []
            check_dimensions(name, len(query.vector), dimensions)
            where, values = _where(name, query.conditions)
            if not query.words:
                ranked = _by_likeness(db, where, values, query, query.limit)
            else:
                depth = query.limit * HYBRID_DEPTH
                likeness = _by_likeness(db, where, values, query, depth)
                words = _by_words(db, where, values, query, depth)
                ranked = _fused(list(likeness), words)[: query.limit]
            return _matches(db, ranked, query.most)

    def delete(self, name: str, ids: list[str]) -> int:
        """See `Store`."""
        with self._change() as db:
            sql = "DELETE FROM items WHERE collection = ? AND id = ?"
            return _deleted(db, [(sql, (name, id_)) for id_ in ids])

    def delete_where(self, name: str, conditions: list[Condition]) -> int:
        """See `Store`."""
        where, values = _where(name, conditions)
        with self._change() as db:
            return _deleted(db, [(f"DELETE FROM items AS i WHERE {where}", values)])  # noqa: S608

    def count(self, name: str, conditions: list[Condition]) -> int:
        """See `Store`."""
        where, values = _where(name, conditions)
        with self._open() as db:
            return int(db.execute(f"SELECT count(*) FROM items AS i WHERE {where}", values).get)  # noqa: S608

    def collections(self) -> list[Collection]:
        """See `Store`."""
        sql = """
            SELECT name, dimensions, (SELECT count(*) FROM items WHERE collection = name)
            FROM collections ORDER BY name
        """
        with self._open() as db:
            return [Collection(name=n, dimensions=d, count=c) for n, d, c in db.execute(sql)]

    def drop(self, name: str) -> bool:
        """See `Store`."""
        with self._change() as db:
            db.execute("DELETE FROM items WHERE collection = ?", (name,))
            return _deleted(db, [("DELETE FROM collections WHERE name = ?", (name,))]) > 0

    def _put(self, db: apsw.Connection, name: str, point: Point, dimensions: int) -> None:
        check_dimensions(name, len(point.vector), dimensions)
        db.execute("DELETE FROM items WHERE collection = ? AND id = ?", (name, point.id))
        metadata = msgspec.json.encode(point.metadata).decode()
        row = (name, point.id, _packed(point.vector), point.text, metadata)
        columns = "collection, id, vector, text, metadata"
        db.execute(f"INSERT INTO items({columns}) VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608

    @contextlib.contextmanager
    def _open(self) -> Iterator[apsw.Connection]:
        import apsw
        import sqlite_vec  # type: ignore[import-untyped]

        # Made here and not by SQLite, so that it belongs to its owner alone.
        make_private_file(self._path)
        with contextlib.closing(apsw.Connection(self._path)) as db:
            try:
                db.set_busy_timeout(BUSY)
                db.enable_load_extension(enable=True)
                db.load_extension(sqlite_vec.loadable_path())
                db.enable_load_extension(enable=False)
                with set_up:
                    db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
                pages = self._config.max_total // db.execute("PRAGMA page_size").get
                db.execute(f"PRAGMA max_page_count = {pages}")
                db.set_progress_handler(lambda: self._job.given_up, STEPS)
                db.execute(_SCHEMA)
                yield db
            except apsw.FullError:
                message = f"the file is full: {self._config.max_total} bytes (max_total)"
                raise BridgeError("Limit", message) from None
            except apsw.BusyError:
                raise BridgeError("Provider", "another run writes", retryable=True) from None
            except apsw.Error as error:
                self._job.check()
                raise BridgeError("Provider", f"the store of vectors: {error}") from None

    @contextlib.contextmanager
    def _change(self) -> Iterator[apsw.Connection]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                self._job.check()
            except BaseException:
                if db.in_transaction:  # SQLite has ended it by itself when the file was full
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def check_dimensions(name: str, found: int, due: int) -> None:
    """Refuse a vector of another length than the collection's."""
    if found != due:
        message = f"{name}: its vectors have {due} numbers, not {found}"
        raise BridgeError("Validation", message, field="vector")


def _packed(vector: list[float]) -> bytes:
    return array.array("f", vector).tobytes()


def _where(name: str, conditions: list[Condition]) -> tuple[str, list[Any]]:
    """Conditions on the table `i`. Keys are plain names (see `_filter.py`); values are bound."""
    parts, values = ["i.collection = ?"], [name]
    for condition in conditions:
        parts.append(_condition(condition))
        values += condition.value if condition.operator == "in" else [condition.value]
    return " AND ".join(parts), values


def _condition(condition: Condition) -> str:
    found = f"i.metadata ->> '$.\"{condition.key}\"'"
    if condition.operator == "in":
        return f"{found} IN ({', '.join('?' for _ in condition.value)})"
    if condition.operator == "ne":  # what has no such key is something else, too
        return f"{found} IS NOT ?"
    return f"{found} {_SIGNS[condition.operator]} ?"


def _by_likeness(
    db: apsw.Connection, where: str, values: list[Any], query: Query, limit: int
) -> list[tuple[int, float]]:
    sql = f"""
        SELECT i.number, 1 - vec_distance_cosine(i.vector, ?) AS score
        FROM items AS i WHERE {where} ORDER BY score DESC, i.number LIMIT ?
    """  # noqa: S608
    return list(db.execute(sql, [_packed(query.vector), *values, limit]))


def _by_words(
    db: apsw.Connection, where: str, values: list[Any], query: Query, limit: int
) -> list[int]:
    words = list(dict.fromkeys(re.findall(r"\w+", query.words)))[:MAX_WORDS]
    if not words:
        return []
    wanted = " OR ".join(f'"{word}"' for word in words)  # \w has no quotes
    sql = f"""
        SELECT i.number FROM words JOIN items AS i ON i.number = words.rowid
        WHERE words MATCH ? AND {where} ORDER BY bm25(words), i.number LIMIT ?
    """  # noqa: S608
    return [number for (number,) in db.execute(sql, [wanted, *values, limit])]


def _fused(likeness: list[tuple[int, float]], words: list[int]) -> list[tuple[int, float]]:
    scores: dict[int, float] = {}
    for ranking in ([number for number, _ in likeness], words):
        for rank, number in enumerate(ranking, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (RANK_CONSTANT + rank)
    return sorted(scores.items(), key=lambda found: (-found[1], found[0]))


def _matches(db: apsw.Connection, ranked: list[tuple[int, float]], most: int) -> list[Match]:
    sql = "SELECT id, text, metadata FROM items WHERE number = ?"
    found: list[Match] = []
    for number, score in ranked:
        id_, text, metadata = next(iter(db.execute(sql, (number,))))
        most -= len(text or "") + len(metadata)
        if most < 0:
            message = "the matches are larger than max_response; ask for fewer with limit"
            raise BridgeError("Limit", message, field="limit")
        metadata = msgspec.json.decode(metadata)
        found.append(Match(id=id_, score=score, text=text, metadata=metadata))
    return found


def _deleted(db: apsw.Connection, statements: list[tuple[str, Any]]) -> int:
    count = 0
    for sql, values in statements:
        db.execute(sql, values)
        count += db.changes()
    return count
