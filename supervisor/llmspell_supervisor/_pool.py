"""Workers that are locked already and wait for a spell: the pool of one zygote.

A worker from the pool is as fresh as one that is forked for its run: it has seen no script, serves
one run and is killed. What the pool saves is the wait for the fork, the engine's start and the lock.

How many wait follows demand. A run that finds none ready doubles the number wanted, up to `high`;
a period in which some were never needed takes those away again, down to `low`. While nothing
changes, nothing runs: an idle pool has no timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ._errors import SupervisorError

if TYPE_CHECKING:
    from llmspell_protocol import control

    from ._worker import Worker

PERIOD: Final = 2.0
"""Seconds over which is seen whether waiting workers were needed."""
REFILLS_AT_ONCE: Final = max(1, len(os.sched_getaffinity(0)) // 2)
"""Forks for the pool that are under way: runs that wait for a worker of their own go before."""
REFILL_DELAY: Final = 0.003
"""Seconds before a worker that was taken is replaced: a small spell is over by then, and the fork
does not take its time."""
SHELVES: Final = 4
"""Sets of options (memory, processor time, JIT) that have workers waiting: as many policies as one
supervisor serves at a time. The one that was longest not asked for makes way."""


class PoolSize(Struct, frozen=True):
    """How many locked workers of an engine wait for a spell, per set of limits.

    Raises `ValueError` unless 0 <= low <= high. A waiting worker takes 1 to 3 MB (Lua) or 10 to
    16 MB (JavaScript) that it does not share with its zygote.
    """

    low: int = 0
    """Kept once the first run has come, however long no other does."""
    high: int = 4 * len(os.sched_getaffinity(0))
    """Kept at most. 0: no pool, a worker is forked when its run comes."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"a pool of {self.low} to {self.high} workers: 0 <= low <= high")


NO_POOL: Final = PoolSize(0, 0)
"""For what has one run, such as a command."""


class Pool:
    """The waiting workers of one zygote, by what they were told of their policy."""

    def __init__(
        self,
        size: PoolSize,
        fork: Callable[[control.WorkerOptions], Worker],
        finish: Callable[[Worker], Coroutine[Any, Any, None]],
    ) -> None:
        """`fork` asks for a worker, or raises `SupervisorError`; `finish` kills and reaps one."""
        self._size = size
        self._fork = fork
        self._finish = finish
        self._shelves: dict[control.WorkerOptions, _Shelf] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._open = True

    def take(self, options: control.WorkerOptions) -> Worker | None:
        """A worker that is ready, if there is one. The caller owns it. More are asked for."""
        if not self._open or not self._size.high:
            return None
        shelf = self._shelves.pop(options, None) or _Shelf(options)
        self._shelves[options] = shelf  # the last one is the one that was asked for last
        if len(self._shelves) > SHELVES:
            self._clear(self._shelves.pop(next(iter(self._shelves))))
        worker = shelf.take()
        if worker is None:
            shelf.wanted = min(self._size.high, max(self._size.low, 2 * shelf.wanted, 1))
        if shelf.refill is None:
            loop = asyncio.get_running_loop()
            shelf.refill = loop.call_later(REFILL_DELAY, self._refill, shelf)
        return worker

    async def close(self) -> None:
        """End every worker that waits. No other one comes."""
        self._open = False
        for shelf in self._shelves.values():
            self._clear(shelf)
        self._shelves.clear()
        if self._ends:
            await asyncio.wait(self._ends)

    # --- a shelf ----------------------------------------------------------------------------------

    def _refill(self, shelf: _Shelf) -> None:
        shelf.refill = None
        self._tend(shelf)

    def _tend(self, shelf: _Shelf) -> None:
        """Ask for what is missing, a few at a time, and see that too many do not stay."""
        if not self._open or self._shelves.get(shelf.options) is not shelf:
            return
        while len(shelf.coming) < REFILLS_AT_ONCE and shelf.count < shelf.wanted:
            try:
                worker = self._fork(shelf.options)
            except SupervisorError:
                return  # the run that asks next will say what is wrong
            shelf.coming.add(worker)
            self._watch(shelf, worker)
        if shelf.timer is None and shelf.wanted > self._size.low:
            loop = asyncio.get_running_loop()
            shelf.timer = loop.call_later(PERIOD, self._review, shelf)

    def _watch(self, shelf: _Shelf, worker: Worker) -> None:
        """Put a worker on the shelf when it has said Ready, and take it off when it ends."""
        loop = asyncio.get_running_loop()

        def spoke() -> None:
            loop.remove_reader(worker.read_fd)
            if worker in shelf.coming and _has_spoken(worker.read_fd):
                shelf.coming.remove(worker)
                shelf.ready.append(worker)
                self._tend(shelf)

        def ended(_: object) -> None:
            if shelf.remove(worker):
                # Not replaced before the next run asks: what kills one may kill them all.
                self._end(worker)

        loop.add_reader(worker.read_fd, spoke)
        worker.exited.add_done_callback(ended)

    def _review(self, shelf: _Shelf) -> None:
        """A period is over: half of those that nobody needed in it are not wanted any more."""
        shelf.timer = None
        spare = min(shelf.fewest, len(shelf.ready))
        shelf.wanted = max(self._size.low, shelf.wanted - (spare + 1) // 2)
        while shelf.count > shelf.wanted and (worker := shelf.take()):
            self._end(worker)
        shelf.fewest = len(shelf.ready)
        self._tend(shelf)

    def _clear(self, shelf: _Shelf) -> None:
        for timer in (shelf.timer, shelf.refill):
            if timer is not None:
                timer.cancel()
        shelf.timer = shelf.refill = None
        for worker in (*shelf.coming, *shelf.ready):
            shelf.remove(worker)
            self._end(worker)

    def _end(self, worker: Worker) -> None:
        if worker.read_fd >= 0:
            asyncio.get_running_loop().remove_reader(worker.read_fd)
        task = asyncio.ensure_future(self._finish(worker))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


class _Shelf:
    """Workers of one set of options."""

    def __init__(self, options: control.WorkerOptions) -> None:
        self.options = options
        self.ready: deque[Worker] = deque()
        self.coming: set[Worker] = set()
        """Forked, and not yet heard of."""
        self.wanted = 0
        self.fewest = 0
        """How many were ready at least, in this period."""
        self.timer: asyncio.TimerHandle | None = None
        """Until the end of this period."""
        self.refill: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        return len(self.ready) + len(self.coming)

    def take(self) -> Worker | None:
        """The one that has waited longest, since the next ones may still be warm in the caches."""
        worker = self.ready.popleft() if self.ready else None
        self.fewest = min(self.fewest, len(self.ready))
        return worker

    def remove(self, worker: Worker) -> bool:
        """Whether it was here."""
        if worker in self.coming:
            self.coming.remove(worker)
            return True
        with contextlib.suppress(ValueError):
            self.ready.remove(worker)
            return True
        return False


def _has_spoken(fd: int) -> bool:
    """Whether there is something to read, and not only an end."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll(0))
