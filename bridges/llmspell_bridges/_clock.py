"""The clock of one call: `request_timeout`, which stands still for what is not the call's own work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import TypeVar, cast

from ._errors import BridgeError
from ._steps import rest_of

T = TypeVar("T")


class _Clock:
    """Runs while nothing holds it; tasks of one call hold it side by side."""

    def __init__(self, seconds: float) -> None:
        self._limit: asyncio.Timeout | None = None
        """None before the call waits for something, and once it has ended: what it left running holds
        nothing any more. A timeout keeps its task, and a cancelled task the frames that know the timeout."""
        self._holders = 0
        self._left = seconds

    def begin(self) -> asyncio.Timeout:
        self._limit = limit = asyncio.timeout(None if self._holders else self._left)
        return limit

    def hold(self) -> None:
        self._holders += 1
        until = self._limit and self._limit.when()
        if self._limit and self._holders == 1 and until is not None:
            self._left = until - asyncio.get_running_loop().time()
            self._limit.reschedule(None)

    def release(self) -> None:
        self._holders -= 1
        if self._limit and not self._holders and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._left)

    def end(self) -> None:
        self._limit = None


_clock: ContextVar[_Clock | None] = ContextVar("clock", default=None)


async def within(seconds: float, name: str, work: Awaitable[T]) -> T:
    """Await `work` for `seconds` at most; a timeout of its own is told apart from ours."""
    clock = _Clock(seconds)
    outer = _clock.set(clock)
    steps = work.__await__()
    limit: asyncio.Timeout | None = None
    try:
        try:
            waited_for = next(steps)
        except StopIteration as done:  # as most calls: a clock would be a twentieth of their time
            return cast("T", done.value)
        limit = clock.begin()
        async with limit:
            return await rest_of(steps, waited_for)
    except TimeoutError:
        if limit is None or not limit.expired():
            raise
        message = f"{name}: no answer within {seconds:g} s"
        raise BridgeError("Timeout", message, retryable=True, duration=seconds) from None
    finally:
        clock.end()
        _clock.reset(outer)
        del limit


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


def without_clock() -> Context:
    """The context for a task that outlasts the call, or the wait, in which it is begun.

    `off_the_clock` does nothing in it: what it would hold is over by then.
    """
    context = copy_context()
    context.run(_clock.set, None)
    return context
