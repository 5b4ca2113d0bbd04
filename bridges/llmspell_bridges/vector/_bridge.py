"""The bridge `vector`."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from .._context import CallContext
from .._interface import Bridge, BridgeConfig, BridgeRegistry, method
from ._collections import Collections, check_collection
from ._config import VectorConfig
from ._filter import conditions
from ._types import Collection, Id, Item, Match, Search


class VectorBridge(Bridge):
    """Collections of vectors and texts: search by likeness, by words, by metadata."""

    name: ClassVar[str] = "vector"
    config: ClassVar[type[BridgeConfig]] = VectorConfig

    def __init__(self, config: VectorConfig) -> None:
        self._collections = Collections(config, self.name)

    def join(self, registry: BridgeRegistry) -> None:
        """Models of `llm` may make the vectors."""
        self._collections.join(registry)

    async def close(self) -> None:
        """Close the connection to a server."""
        await asyncio.to_thread(self._collections.close)

    @method(effect="write")
    async def upsert(self, ctx: CallContext, collection: str, items: Item | list[Item]) -> int:
        """Put items in, each with a vector or with a text that becomes one; how many."""
        name = check_collection(ctx, collection)
        given = items if isinstance(items, list) else [items]
        return await self._collections.upsert(ctx, name, given)

    @method(effect="varies")
    async def search(self, ctx: CallContext, collection: str, query: str | Search) -> list[Match]:
        """The items most alike to a text or a vector. A plain string is the text."""
        name = check_collection(ctx, collection)
        search = Search(text=query) if isinstance(query, str) else query
        return await self._collections.search(ctx, name, search)

    @method(effect="write")
    async def delete(self, ctx: CallContext, collection: str, ids: Id | list[Id]) -> int:
        """Remove items; how many there were."""
        name = check_collection(ctx, collection)
        wanted = ids if isinstance(ids, list) else [ids]
        return await self._collections.work(ctx, lambda store: store.delete(name, wanted))

    @method(effect="read")
    async def count(self, ctx: CallContext, collection: str, filter: dict[str, Any] = {}) -> int:  # noqa: A002, B006
        """How many items there are, or how many meet a filter."""
        name = check_collection(ctx, collection)
        found = conditions(filter)
        return await self._collections.work(ctx, lambda store: store.count(name, found))

    @method(effect="read")
    async def list(self, ctx: CallContext) -> list[Collection]:
        """The collections that there are."""
        return await self._collections.work(ctx, lambda store: store.collections())

    @method(effect="write")
    async def drop(self, ctx: CallContext, collection: str) -> bool:
        """Remove a whole collection; whether there was one."""
        name = check_collection(ctx, collection)
        return await self._collections.work(ctx, lambda store: store.drop(name))
