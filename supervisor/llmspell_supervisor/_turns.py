"""Whose turn it is: one worker's flood must not take the event loop from another worker's spell.

Reading what a worker says costs processor time of the supervisor, which has one event loop for all.
A channel works for a slice, then lets everything else that is due go first. While other channels
have something to do, it also gets no more than its share of the processor: it is not read for a
while, its pipe fills, and the kernel makes the worker wait. Alone, it is read as fast as it goes.
"""

from __future__ import annotations

import time
from typing import Final

SLICE: Final = 0.0005
"""Seconds of processor time that a channel may use at a time: some thirty messages. A small spell
takes ten turns of the loop, and 3 to 5 ms."""
SHARE: Final = 0.1
"""Of the processor, for each channel, while others have something to do."""
RECENT: Final = 0.05
"""Seconds for which a channel counts as having something to do."""
LONGEST: Final = 1.0
"""Seconds that a channel waits at most. One message can take 5 ms, in which nothing else happens;
such messages must be rare enough not to show in the hundredth part of the spells beside them, so the
wait grows with the square of what a message took."""


class Turns:
    """When each of the channels of one event loop was last heard of."""

    def __init__(self) -> None:
        self._latest: object = None
        self._latest_at = -RECENT
        self._other_at = -RECENT  # of any channel but the latest

    def note(self, channel: object) -> None:
        """The channel has something to do."""
        if channel is not self._latest:
            self._latest, self._other_at = channel, self._latest_at
        self._latest_at = time.monotonic()

    def others(self, channel: object) -> bool:
        """Whether another channel has had something to do just now."""
        at = self._other_at if channel is self._latest else self._latest_at
        return time.monotonic() - at < RECENT


class Turn:
    """What one channel has used of its share."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._debt = 0.0  # seconds of processor time, paid back at the rate of `SHARE`
        self._at = time.monotonic()
        self._began = 0.0

    def begin(self) -> None:
        """The channel has something to do, and does it from now on."""
        self._turns.note(self)
        self._began = time.thread_time()

    def excuse(self, seconds: float) -> None:
        """That much processor time since `begin` was the host's own doing, and is not counted."""
        self._began += seconds

    def over(self) -> bool:
        """Whether what the channel did since `begin` has used up its slice."""
        now, used = time.monotonic(), time.thread_time()
        self._debt = max(0.0, self._debt - (now - self._at) * SHARE) + used - self._began
        self._at, self._began = now, used
        return self._debt >= SLICE

    def end(self) -> float:
        """How many seconds to wait before the next slice, once this one is over."""
        debt, self._debt = self._debt, 0.0
        if not self._turns.others(self):
            return 0.0
        return min(LONGEST, debt / SHARE * max(1.0, debt / SLICE))
