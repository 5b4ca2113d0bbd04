"""Who may run now: so many at once, the others in a queue in which tenants take turns.

A tenant with a thousand runs in the queue waits for its own; one that comes with a single run is
next. A queue that is full is an error at once, and not a wait without an end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from ._errors import SupervisorError

MAX_RUNNING: Final = 2000
"""Twice the thousand spells that one event loop is measured to hold while they wait for a model
(`benchmarks/README.md`); each takes four descriptors."""
MAX_WAITING: Final = 10_000
"""At 500 small spells a second, what the last of them waits is 20 s."""


class Busy(SupervisorError):
    """There are too many runs, and the queue is full. Nothing was run; try again later."""


class Admission(Struct, frozen=True):
    """How many runs a supervisor takes. Raises `ValueError` for a number that is out of bounds."""

    running: int = MAX_RUNNING
    """At once, at least 1."""
    waiting: int = MAX_WAITING
    """In the queue of all tenants together, 0 or more. What comes beyond is `Busy`."""

    def __post_init__(self) -> None:
        if self.running < 1 or self.waiting < 0:
            raise ValueError("admission: running must be 1 or more, waiting 0 or more")


class Gate:
    """Lets runs in. One event loop, not thread-safe."""

    def __init__(self, admission: Admission) -> None:
        self._limits = admission
        self._running = 0
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """Tenant to its runs that wait; the tenant whose turn it is stands first."""

    @property
    def waiting(self) -> int:
        """Runs in the queue."""
        return sum(len(queue) for queue in self._queues.values())

    @contextlib.asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Inside the block, one of the runs that may go on. Raises `Busy` if the queue is full."""
        await self._enter(tenant)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, tenant: str) -> None:
        if self._running < self._limits.running:
            self._running += 1
            return
        if (waiting := self.waiting) >= self._limits.waiting:
            raise Busy(
                f"{self._running} spells run and {waiting} wait, which is the limit",
                "try again later, or give the supervisor a larger Admission",
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # it had its turn already: somebody else's now
            else:
                self._forget(tenant, turn)
            raise

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues[tenant]
        queue.remove(turn)
        if not queue:
            del self._queues[tenant]

    def _leave(self) -> None:
        """A place is free: the tenant whose turn it is gets it, and goes to the end of the line."""
        if not self._queues:
            self._running -= 1
            return
        tenant = next(iter(self._queues))
        queue = self._queues.pop(tenant)
        queue.popleft().set_result(None)
        if queue:
            self._queues[tenant] = queue
