"""A host for bridges under test: the real policy, budget and registry, and no worker.

assert run_without_worker(ConvertBridge(ConvertConfig()), "convert.to", 1, "in", "cm") == 2.54
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from llmspell_bridges import Bridge, BridgeError, BridgeRegistry, CallContext, Stream, is_granted
from llmspell_supervisor import Policy, Usage
from llmspell_supervisor._budget import RunBudget

from ._clock import Clock

T = TypeVar("T")


class BridgeHost:
    """Calls bridge methods as a worker does: with msgpack, and gets plain values back.

    What is granted is what `policy` says; without `allow_bridges`, all of `bridges`.
    """

    def __init__(self, *bridges: Bridge, model: str | None = None, **policy: Any) -> None:
        self.registry = BridgeRegistry(bridges)
        self.policy = Policy(**policy)
        self.grants = policy.get("allow_bridges", self.registry.names)
        self.usage = Usage()
        self.budget = RunBudget(self.policy, self.usage)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        """What was asked for, in order: method and arguments."""
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
        """Call a method to its end. Raises `BridgeError` as a script would see it."""
        self.calls.append((method, args))
        bound = self.registry.get(method)
        if bound is None or not is_granted(method, self.grants):
            raise BridgeError("Policy", f"{method} is not granted to this spell")
        return msgspec.msgpack.decode(await bound.call(self.context, pack(args)))

    def open(self, method: str, *args: Any) -> Stream:
        """Open a stream. Raises `LookupError` for a method that there is not."""
        self.calls.append((method, args))
        bound = self.registry.get(method)
        if bound is None:
            raise LookupError(f"there is no method {method}")
        return bound.stream(self.context, pack(args))

    async def drain(self, method: str, *args: Any) -> tuple[list[Any], Any]:
        """Read a stream to its end: its chunks and its closing value."""
        stream = self.open(method, *args)
        chunks = [msgspec.msgpack.decode(chunk) async for chunk in stream]
        return chunks, msgspec.msgpack.decode(stream.closing)

    def run(self, work: Callable[[], Awaitable[T]], *, clock: Clock | None = None) -> T:
        """Run `work` on an event loop of its own, end the run and close the bridges.

        With a `clock`, the loop waits for nothing: see `Clock`.
        """

        async def main() -> T:
            async with self.registry:
                try:
                    return await work()
                finally:
                    await self.context.run.close()

        if clock is None:
            return asyncio.run(main())
        with asyncio.Runner(loop_factory=clock.loop) as runner:
            return runner.run(main())


def pack(args: tuple[Any, ...]) -> bytes:
    """Arguments as they come from a worker."""
    return msgspec.msgpack.encode(args)


def run_without_worker(
    bridge: Bridge, method: str, *args: Any, clock: Clock | None = None, **policy: Any
) -> Any:
    """Call one method of a bridge, and close it; of a stream, its chunks and its closing value.

    Raises `BridgeError` as a script would see it.
    """
    host = BridgeHost(bridge, **policy)
    bound = host.registry.get(method)
    streams = bound is not None and bound.kind == "stream"
    work = host.drain if streams else host.call
    return host.run(lambda: work(method, *args), clock=clock)
