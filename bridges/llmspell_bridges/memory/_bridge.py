"""The bridge `memory`: names, threads, and whose memory it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, TypeVar

from msgspec import Meta

from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, method
from .._kept import MAX_NAME, check_name, owner, state_directory
from .._threads import Job, Threads
from ._config import MemoryConfig
from ._store import Store

T = TypeVar("T")

RECENT: Final = 100
"""Turns of a history that nobody set a limit for: more than a model is sent."""

Count = Annotated[int, Meta(ge=1, le=100_000)]


class MemoryBridge(Bridge):
    """Values and conversations that outlive a run, by name; those of other spells are not there."""

    name: ClassVar[str] = "memory"
    config: ClassVar[type[BridgeConfig]] = MemoryConfig

    def __init__(self, config: MemoryConfig) -> None:
        self._config = config
        self._threads = Threads()

    @method(effect="read")
    async def get(self, ctx: CallContext, memory: str, key: str) -> Any:
        """The value of a key; null if there is none."""
        check_name(key, "key")
        return await self._work(ctx, memory, lambda store: store.get(memory, key))

    @method(effect="write")
    async def set(self, ctx: CallContext, memory: str, key: str, value: Any) -> None:
        """Give a key a value."""
        check_name(key, "key")
        await self._work(ctx, memory, lambda store: store.set(memory, key, value))

    @method(effect="write")
    async def delete(self, ctx: CallContext, memory: str, key: str) -> bool:
        """Forget a key; whether there was one."""
        check_name(key, "key")
        return await self._work(ctx, memory, lambda store: store.delete(memory, key))

    @method(effect="read")
    async def keys(self, ctx: CallContext, memory: str, prefix: str = "") -> list[str]:
        """Keys that begin with a prefix, sorted."""
        if len(prefix) > MAX_NAME:
            raise BridgeError("Validation", f"prefix: 0 to {MAX_NAME} characters", field="prefix")
        return await self._work(ctx, memory, lambda store: store.keys(memory, prefix))

    @method(effect="write")
    async def append(self, ctx: CallContext, memory: str, value: Any) -> int:
        """Add a turn, such as a message, to the end of a conversation; how many there are."""
        return await self._work(ctx, memory, lambda store: store.append(memory, value))

    @method(effect="read")
    async def history(self, ctx: CallContext, memory: str, limit: Count = RECENT) -> list[Any]:
        """The last turns of a conversation, the oldest first."""
        most = ctx.policy.max_response
        return await self._work(ctx, memory, lambda store: store.history(memory, limit, most))

    @method(effect="write")
    async def clear(self, ctx: CallContext, memory: str) -> int:
        """Forget all keys and turns of one memory; how many there were."""
        return await self._work(ctx, memory, lambda store: store.clear(memory))

    async def _work(self, ctx: CallContext, memory: str, work: Callable[[Store], T]) -> T:
        check_name(memory, "memory")
        ctx.note(memory=memory)

        def perform(job: Job) -> T:
            directory = state_directory(self._config, "memory.directory")
            try:
                return work(Store(job, directory, owner(self._config, ctx), self._config))
            except (sqlite3.Error, OSError) as error:
                said = getattr(error, "strerror", None) or str(error)
                busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
                raise BridgeError("Provider", f"memory: {said}", retryable=busy) from None

        return await self._threads.run(perform)
