"""Waiting, for spells in JavaScript whose runs are recorded: so that it has its place among calls.

A worker's own timers are seen by nobody. As a stream of the host's, the end of a wait is an event
like an answer: when the run is replayed it comes when it came before, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method, off_the_clock

NAME: Final = "recorded_clock"
WAIT: Final = f"{NAME}.wait"
MAX_WAIT: Final = 2**31 - 1
"""Milliseconds: the longest timer of JavaScript."""


class RecordedClock(Bridge):
    """Time for runs that are recorded."""

    name: ClassVar[str] = NAME

    def __init__(self, config: BridgeConfig, speed: float = 1.0) -> None:
        """`speed` is how many times faster than a real one it goes."""
        super().__init__(config)
        self._speed = speed

    @method
    async def wait(
        self,
        ctx: CallContext,  # noqa: ARG002
        delay: Annotated[float, Meta(ge=0, le=MAX_WAIT, description="milliseconds")],
    ) -> AsyncIterator[bool]:
        """One chunk, once the time has passed."""
        with off_the_clock():
            await asyncio.sleep(delay / 1000 / self._speed)
        yield True
