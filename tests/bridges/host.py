"""A host for bridges under test: the real policy, budget and registry, without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from llmspell_bridges import Bridge, BridgeRegistry, CallContext, Stream, load
from llmspell_supervisor import Policy, Usage
from llmspell_supervisor._budget import RunBudget
from llmspell_testkit.model_server import ModelServer

T = TypeVar("T")


class Host:
    """Calls bridge methods as a worker does: with msgpack, and gets plain values back."""

    def __init__(self, *bridges: Bridge, model: str | None = None, **policy: Any) -> None:
        self.registry = BridgeRegistry(bridges)
        self.policy = Policy(**policy)
        self.usage = Usage()
        self.budget = RunBudget(self.policy, self.usage)
        self.context = CallContext(
            run_id="1",
            spell="test.lua",
            identity="/spells/test.lua",
            deadline=time.monotonic() + self.policy.timeout,
            policy=self.policy,
            budget=self.budget,
            model=model,
            bridges=self.registry.granted(self.policy.allow_bridges),
        )

    async def call(self, method: str, *args: Any) -> Any:
        """Call a method to its end."""
        bound = self.registry.get(method)
        assert bound is not None
        return msgspec.msgpack.decode(await bound.call(self.context, pack(args)))

    def open(self, method: str, *args: Any) -> Stream:
        """Open a stream."""
        bound = self.registry.get(method)
        assert bound is not None
        return bound.stream(self.context, pack(args))

    async def drain(self, method: str, *args: Any) -> tuple[list[Any], Any]:
        """Read a stream to its end: its chunks and its closing value."""
        stream = self.open(method, *args)
        chunks = [msgspec.msgpack.decode(chunk) async for chunk in stream]
        return chunks, msgspec.msgpack.decode(stream.closing)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` on an event loop of its own, end the run and close the bridges."""

        async def main() -> T:
            async with self.registry:
                try:
                    return await work()
                finally:
                    await self.context.run.close()

        return asyncio.run(main())


def pack(args: tuple[Any, ...]) -> bytes:
    """Arguments as they come from a worker."""
    return msgspec.msgpack.encode(args)


def llm_host(
    server: ModelServer,
    *,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    **policy: Any,
) -> Host:
    """A host whose provider `test` is `server`; a model there is named `test/NAME`."""
    given = {"providers": {"test": {"base_url": server.base_url}}, **(settings or {})}
    return Host(load("llm", given), model=model, **policy)


def complete(host: Host, request: Any) -> Any:
    """One `llm.complete`."""
    return host.run(lambda: host.call("llm.complete", request))
