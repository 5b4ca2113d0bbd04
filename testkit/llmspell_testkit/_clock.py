"""A clock for tests of what waits: time passes only when nothing else can happen.

clock = Clock()
with pytest.raises(BridgeError, match="no answer within 30 s"):
    run_without_worker(bridge, "slow.hang", clock=clock)
assert clock.now == 30
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class Clock:
    """The time of event loops that it makes: seconds, from 0.

    A loop that would sleep until a timer is due finds it due at once, in the same order. Only for
    work in the loop itself: what waits for a socket, a thread or a process takes real time, and
    timers would overtake it.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises `ValueError` for a negative number: it never goes back."""
        if not seconds >= 0:
            raise ValueError(f"time does not go back: {seconds}")
        self.now += seconds

    def loop(self) -> asyncio.AbstractEventLoop:
        """An event loop whose time this is, for `asyncio.Runner(loop_factory=clock.loop)`."""
        return _Loop(self)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._clock_of_test = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock_of_test.now


class _Selector(selectors.DefaultSelector):
    """Waits for nothing if there is a timer: its time has come instead."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._clock.advance(timeout)
        return ready
