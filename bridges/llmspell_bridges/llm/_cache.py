"""Answers kept for questions that mean the same, if the operator wants that (`[llm.cache]`).

An answer stands for a later request only if everything but the last message is equal (owner, model,
options, the conversation before it), the numbers in that message are equal, and what it says is
about as alike as `similarity` asks. Numbers are compared as such because embeddings hardly tell
them apart.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
import logging
import math
import operator
import os
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .._embedding import Embedder
from .._kept import owner, state_directory
from .._private_file import make_private_file, set_up
from .._threads import Job, Threads
from ._request import conversation
from ._types import CompletionRequest, CompletionResponse, ResponseMetadata, TokenUsage

if TYPE_CHECKING:
    from .._interface import BridgeRegistry
    from ._call import ModelCall
    from ._config import CacheConfig

FILE: Final = "cache.db"

BUSY: Final = 1.0
"""Seconds to wait for another process that writes: a cache is not worth more."""

FINISHED: Final = "stop"
"""The reason with which a whole answer ends: one that was cut off is not kept."""

_NOT_THE_QUESTION: Final = ("messages", "prompt", "model", "provider", "timeout", "retries")
"""Fields of a request that say something else, or are in the key by another name."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers(
    number INTEGER PRIMARY KEY, owner TEXT NOT NULL, key BLOB NOT NULL, made REAL NOT NULL,
    vector BLOB NOT NULL, answer BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_to ON answers(owner, key);
"""

_log = logging.getLogger(__name__)


class _Question(Struct, frozen=True):
    """What must be equal, as a hash, and what must be alike."""

    key: bytes
    text: str


class Cache:
    """The cache of one bridge."""

    def __init__(self, config: CacheConfig) -> None:
        self._config = config
        self._threads = Threads()
        self._embedder = Embedder(config.embedding, self._threads)

    def join(self, registry: BridgeRegistry) -> None:
        """Where the bridge is found that embeds, if that is a model of `llm`."""
        self._embedder.join(registry)

    async def answer(
        self, call: ModelCall, ask: Callable[[], Awaitable[CompletionResponse]]
    ) -> CompletionResponse:
        """The answer that is kept for a question like this, else the model's own."""
        question = _question(call)
        if question is None:
            return await ask()
        began = time.monotonic()
        whose = owner(self._config, call.ctx)
        (vector,) = await self._embedder.embed(call.ctx, [question.text], "query")
        kept = await self._quietly(lambda: self._find(whose, question.key, vector))
        if kept is not None:
            return _free(kept, began)
        found = await ask()
        if found.finish_reason == FINISHED:
            await self._quietly(lambda: self._keep(whose, question.key, vector, found))
        return found

    async def _quietly(
        self, work: Callable[[], CompletionResponse | None]
    ) -> CompletionResponse | None:
        """Look or keep in a thread. A cache that fails costs a call, and no more."""

        def perform(_: Job) -> CompletionResponse | None:
            try:
                return work()
            except (sqlite3.Error, msgspec.DecodeError, OSError) as error:
                _log.warning("the cache of answers is of no use: %s", error)
                return None

        return await self._threads.run(perform)

    def _find(self, whose: str, key: bytes, vector: list[float]) -> CompletionResponse | None:
        sql = "SELECT vector, answer FROM answers WHERE owner = ? AND key = ? AND made > ?"
        oldest = time.time() - self._config.ttl
        best, answer = self._config.similarity, None
        with self._open() as db:
            for packed, found in db.execute(sql, (whose, key, oldest)):
                likeness = _cosine(vector, array.array("f", packed))
                if likeness >= best:
                    best, answer = likeness, found
        if answer is None:
            return None
        return msgspec.msgpack.decode(answer, type=CompletionResponse)

    def _keep(self, whose: str, key: bytes, vector: list[float], found: CompletionResponse) -> None:
        now = time.time()
        packed = array.array("f", vector).tobytes()
        row = (whose, key, now, packed, msgspec.msgpack.encode(found))
        newest = "SELECT number FROM answers WHERE owner = ? ORDER BY number DESC LIMIT ?"
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM answers WHERE made <= ?", (now - self._config.ttl,))
            columns = "owner, key, made, vector, answer"
            db.execute(f"INSERT INTO answers({columns}) VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608
            stale = f"DELETE FROM answers WHERE owner = ? AND number NOT IN ({newest})"  # noqa: S608
            db.execute(stale, (whose, whose, self._config.max_entries))
            db.execute("COMMIT")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = os.path.join(state_directory(self._config, "llm.cache.directory"), FILE)
        # Made here and not by SQLite, so that it belongs to its owner alone.
        make_private_file(path)
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY, isolation_level=None)) as db:
            with set_up:
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")  # what a crash loses is asked for again
            db.executescript(_SCHEMA)
            yield db


def _question(call: ModelCall) -> _Question | None:
    """What a call asks; None where no kept answer can stand for a new one.

    That is where the model may act (tools), or where the last message is no text of the user.
    """
    request = call.request
    if not isinstance(request, CompletionRequest) or request.tools:
        return None
    *before, last = conversation(request)
    if last.role != "user" or not isinstance(last.content, str) or not last.content:
        return None
    options = msgspec.to_builtins(request, builtin_types=(bytes,))
    for name in _NOT_THE_QUESTION:
        options.pop(name, None)
    numbers = re.findall(r"\d+", last.content)
    exact = [call.route.name, options, before, last.name, numbers]
    encoded = msgspec.msgpack.encode(exact, order="deterministic")
    return _Question(hashlib.sha256(encoded).digest(), last.content)


def _cosine(first: list[float], second: array.array[float]) -> float:
    if len(first) != len(second):  # of a model that was configured before
        return -1.0
    length = math.hypot(*first) * math.hypot(*second)
    return sum(map(operator.mul, first, second)) / length if length else -1.0


def _free(kept: CompletionResponse, began: float) -> CompletionResponse:
    latency = round((time.monotonic() - began) * 1000)
    nothing = TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0, cached=True)
    return replace(
        kept,
        usage=nothing,
        cost=0.0,
        metadata=ResponseMetadata(latency_ms=latency, attempts=0),
    )
