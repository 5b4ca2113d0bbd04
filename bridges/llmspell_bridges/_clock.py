"""The clock of one call: `request_timeout`, which stands still for what is not the call's own work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from ._errors import BridgeError

T = TypeVar("T")


class _Clock:
    """Runs while nothing holds it; tasks of one call hold it side by side."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self._limit = limit
        self._holders = 0
        self._left = 0.0
        self.over = False
        """The call has ended. What it left running holds nothing any more."""

    def hold(self) -> None:
        self._holders += 1
        until = self._limit.when()
        if self._holders == 1 and until is not None and not self.over:
            self._left = until - asyncio.get_running_loop().time()
            self._limit.reschedule(None)

    def release(self) -> None:
        self._holders -= 1
        if not self._holders and not self.over and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._left)


_clock: ContextVar[_Clock | None] = ContextVar("clock", default=None)


async def within(seconds: float, name: str, work: Awaitable[T]) -> T:
    """Await `work` for `seconds` at most; a timeout of its own is told apart from ours."""
    limit = asyncio.timeout(seconds)
    clock = _Clock(limit)
    outer = _clock.set(clock)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        message = f"{name}: no answer within {seconds:g} s"
        raise BridgeError("Timeout", message, retryable=True, duration=seconds) from None
    finally:
        clock.over = True
        _clock.reset(outer)


@contextlib.contextmanager
def off_the_clock() -> Iterator[None]:
    """For what only a first call waits for, such as an import: `request_timeout` stands still.

    The run's own deadline does not. Use it inside a method, around an `await`.
    """
    clock = _clock.get()
    if clock is None:
        yield
        return
    clock.hold()
    try:
        yield
    finally:
        clock.release()
