"""Collections of vectors for a bridge: threads, embeddings and the store that the config names."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from .._context import CallContext
from .._domains import is_loopback
from .._embedding import Embedder, Use
from .._errors import BridgeError
from .._extras import imported
from .._interface import BridgeRegistry
from .._kept import owner, state_directory
from .._threads import Job, Threads
from . import _qdrant
from ._config import StoreConfig
from ._filter import conditions
from ._sqlite import SqliteStore
from ._types import Item, Match, Point, Query, Search, Store

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Of a collection: it becomes a part of an address on a server."""


MAX_METADATA: Final = 16 * 1024
"""Bytes of JSON: what filters look at, not a place for documents."""


def check_collection(ctx: CallContext, name: str) -> str:
    """`name`, if a collection may be called that. Raises `BridgeError`."""
    ctx.note(collection=name)
    if not _NAME.fullmatch(name):
        message = "collection: letters, digits, _ and -, and 64 characters at most"
        raise BridgeError("Validation", message, field="collection")
    return name


class Collections:
    """What `vector` and `rag` have in common. `section` is the bridge's name."""

    def __init__(self, config: StoreConfig, section: str) -> None:
        self._config = config
        self._section = section
        self._threads = Threads()
        self._embedder = Embedder(config.embedding, self._threads)
        self._client: QdrantClient | None = None
        # What lives in this process is not made for threads; a server is.
        alone = config.qdrant == _qdrant.MEMORY
        self._turn: Any = threading.Lock() if alone else contextlib.nullcontext()

    def join(self, registry: BridgeRegistry) -> None:
        """Where the bridge `llm` is found, whose models may make the vectors."""
        self._embedder.join(registry)

    def close(self) -> None:
        """Close the connection to a server."""
        if self._client is not None:
            self._client.close()

    async def upsert(self, ctx: CallContext, name: str, items: list[Item]) -> int:
        """Embed what has no vector, and keep all of it. Raises `BridgeError`."""
        if not items:
            return 0
        for index, item in enumerate(items):
            if item.vector is None and not item.text:
                field = f"items[{index}]"
                message = f"{field}: needs a vector or a text"
                raise BridgeError("Validation", message, field=field)
        missing = [item.text or "" for item in items if item.vector is None]
        made = iter(await self._embedder.embed(ctx, missing, "passage"))
        points = [
            Point(
                item.id,
                _checked(next(made) if item.vector is None else item.vector),
                item.text,
                _metadata(item, f"items[{index}].metadata"),
            )
            for index, item in enumerate(items)
        ]
        return await self.work(ctx, lambda store: store.upsert(name, points))

    async def search(self, ctx: CallContext, name: str, search: Search) -> list[Match]:
        """What is most alike. Raises `BridgeError`."""
        found = conditions(search.filter)
        if search.hybrid and not search.text:
            raise BridgeError("Validation", "text: a hybrid search needs words", field="text")
        if not search.hybrid and (search.vector is None) == (not search.text):
            raise BridgeError("Validation", "text: give a text or a vector", field="text")
        if search.vector is None and self._embedder.spends and ctx.dry_run:
            ctx.plan("spend", f"one text embedded by {self._embedder.model}")
            return []
        vector = search.vector or await self._one(ctx, search.text or "", "query")
        query = Query(
            vector=_checked(vector),
            words=search.text or "" if search.hybrid else "",
            limit=search.limit,
            conditions=found,
            most=ctx.policy.max_response,
        )
        return await self.work(ctx, lambda store: store.search(name, query))

    async def work(self, ctx: CallContext, work: Callable[[Store], T]) -> T:
        """Do something with the store of the call's owner, in a thread."""
        await imported(
            "data", *(("qdrant_client",) if self._config.qdrant else ("apsw", "sqlite_vec"))
        )
        self._check_tls(ctx)

        def perform(job: Job) -> T:
            with self._turn:
                return work(self._store(job, owner(self._config, ctx)))

        return await self._threads.run(perform)

    async def _one(self, ctx: CallContext, text: str, use: Use) -> list[float]:
        return (await self._embedder.embed(ctx, [text], use))[0]

    def _store(self, job: Job, whose: str) -> Store:
        if self._config.qdrant is None:
            directory = state_directory(self._config, f"{self._section}.directory")
            return SqliteStore(job, directory, self._section, whose, self._config)
        if self._client is None:
            self._client = _qdrant.connect(self._config, self._key())
        return _qdrant.QdrantStore(job, self._client, self._section, whose, self._config)

    def _key(self) -> str | None:
        name = self._config.api_key_env
        if name is None:
            return None
        if not (key := os.environ.get(name)):
            raise BridgeError("Configuration", f"{self._section}: {name} is not set: export it")
        return key

    def _check_tls(self, ctx: CallContext) -> None:
        parts = urlsplit(self._config.qdrant or "")
        if (
            parts.scheme == "http"
            and ctx.policy.require_tls
            and not is_loopback(parts.hostname or "")
        ):
            message = f"{self._section}: Qdrant is reached by plain http, and require_tls is on"
            raise BridgeError("Policy", message)


def _metadata(item: Item, field: str) -> dict[str, Any]:
    """As JSON has it: bytes become base64."""
    encoded = msgspec.json.encode(item.metadata)
    if len(encoded) > MAX_METADATA:
        message = f"{field}: {len(encoded)} bytes; the limit is {MAX_METADATA}"
        raise BridgeError("Limit", message, field=field)
    found: dict[str, Any] = msgspec.json.decode(encoded)
    return found


def _checked(vector: list[float]) -> list[float]:
    if not any(vector):
        message = "vector: one of zeros has no direction"
        raise BridgeError("Validation", message, field="vector")
    return vector
