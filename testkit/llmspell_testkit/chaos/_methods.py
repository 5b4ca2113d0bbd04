"""Methods of bridges that are struck on their way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from llmspell_bridges import BoundMethod, BridgeError, CallContext, Stream

from ._report import Performed

if TYPE_CHECKING:
    from ._storm import Weather

CHUNKS: Final = 3
"""Chunks after which a stream is cut at the latest."""


class StruckMethod:
    """Stands in a registry for a method, and lets the weather have its way with each call."""

    waits = True

    def __init__(self, method: BoundMethod, weather: Weather) -> None:
        self._method = method
        self._weather = weather

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)

    async def call(self, ctx: CallContext, args: bytes | Raw) -> bytes:
        """As of the method, but for what the plan says."""
        weather = self._weather
        number = weather.open(ctx.run_id)
        await self._strike_before(ctx.run_id, number)
        value = await self._method.call(ctx, args)
        weather.performed.append(Performed(ctx.run_id, self._method.name))
        if weather.strikes("cuts", ctx.run_id, number):
            raise _cut(self._method.name)
        return value

    def stream(self, ctx: CallContext, args: bytes | Raw) -> StruckStream:
        """As of the method; it may be cut after some chunks."""
        number = self._weather.open(ctx.run_id)
        return StruckStream(self, self._method.stream(ctx, args), ctx.run_id, number)

    async def _strike_before(self, run: str, number: int) -> None:
        weather, plan = self._weather, self._weather.plan
        if weather.strikes("clock_jumps", run, number):
            weather.jump(plan.amount("clock_jumps", run, number))
        if weather.strikes("latency", run, number):
            await asyncio.sleep(plan.most_latency * plan.amount("latency", run, number))
        if weather.strikes("errors", run, number):
            message = f"{self._method.name}: the other side refused"
            raise BridgeError("Network", message, retryable=True)
        if weather.strikes("zygote_kills", run, number):
            weather.kill_zygote(run)
        if weather.strikes("kills", run, number):
            weather.kill_worker(run)


class StruckStream(AsyncIterator[bytes]):
    """A stream that may end in the middle."""

    def __init__(self, method: StruckMethod, stream: Stream, run: str, number: int) -> None:
        self._method = method
        self._stream = stream
        self._run = run
        self._number = number
        self._read = 0

    @property
    def closing(self) -> bytes:
        """As of the stream."""
        return self._stream.closing

    async def __anext__(self) -> bytes:
        """As of the stream, until it is cut."""
        weather = self._method._weather
        if self._read == 0:
            await self._method._strike_before(self._run, self._number)
        amount = weather.plan.amount("cuts", self._run, self._number)
        if self._read == 1 + int(amount * CHUNKS) and weather.strikes(
            "cuts", self._run, self._number
        ):
            raise _cut(self._method.name)
        try:
            chunk = await anext(self._stream)
        except StopAsyncIteration:
            weather.performed.append(Performed(self._run, self._method.name))
            raise
        self._read += 1
        return chunk

    async def aclose(self) -> None:
        """As of the stream."""
        await self._stream.aclose()


def _cut(name: str) -> BridgeError:
    return BridgeError("Network", f"{name}: the line went dead", retryable=True)
