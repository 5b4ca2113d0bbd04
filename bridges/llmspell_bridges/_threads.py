"""Blocking libraries in threads: a bounded number, and each is told when its call is given up."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST: Final = 8
"""Threads of one bridge at once. SQLite serialises writers anyway, and what waits for a network is
bounded by the run's `max_concurrent` long before; it keeps a crowd of runs from a thread each."""

STOP_GRACE: Final = 2.0
"""Seconds for a thread to stop once its call is given up: SQLite looks for an interrupt every few
microseconds. One that takes longer is left behind, and keeps its place until it ends."""


class GivenUp(Exception):
    """The call of this thread was cancelled: undo what is not finished and return."""


class Job:
    """What a thread knows of the call that it works for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: Callable[[], object] | None = None
        self.given_up: bool = False
        """Whether the call was cancelled: for a library that asks again and again."""

    def check(self) -> None:
        """Raise `GivenUp` if nobody waits any more. Call it before what cannot be undone."""
        if self.given_up:
            raise GivenUp

    def on_give_up(self, stop: Callable[[], object]) -> None:
        """Have `stop` called, in a thread of its own, when the call is given up."""
        with self._lock:
            self.check()
            self._stop = stop

    def give_up(self) -> None:
        """Tell the thread."""
        with self._lock:
            self.given_up = True
            stop = self._stop
        if stop:
            threading.Thread(target=_quietly, args=(stop,), name="bridge-stop", daemon=True).start()


async def outlast(future: asyncio.Future[Any], seconds: float) -> None:
    """Wait until `future` is done, `seconds` at most, and whoever cancels the waiter meanwhile.

    A call can be cancelled twice: its own time is over in the moment in which its run ends.
    """
    until = time.monotonic() + seconds
    while not future.done() and (left := until - time.monotonic()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([future], timeout=left)


def _quietly(stop: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # what it stops may have ended meanwhile
        stop()


class Threads:
    """Runs blocking work outside the event loop; at most `most` pieces at once."""

    def __init__(self, most: int = MOST) -> None:
        self._room = asyncio.Semaphore(most)

    async def run(self, work: Callable[[Job], T]) -> T:
        """Call `work` in a thread and give its result, or raise what it raised.

        A cancelled call tells the job and waits up to `STOP_GRACE`, so that what the thread would
        still have done is undone by the time that the call has ended.
        """
        await self._room.acquire()
        loop, job = asyncio.get_running_loop(), Job()
        future: asyncio.Future[T] = loop.create_future()

        def finish(result: Any, error: BaseException | None) -> None:
            self._room.release()
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def main() -> None:
            result, error = None, None
            try:
                result = context.run(work, job)
            except BaseException as caught:  # noqa: BLE001 - whoever waits gets it
                error = caught
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(finish, result, error)

        context = contextvars.copy_context()
        # A daemon: a library that hangs must not hold the supervisor's exit.
        thread = threading.Thread(target=main, name="bridge", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            self._room.release()
            raise
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            job.give_up()
            await outlast(future, STOP_GRACE)
            if future.done():
                future.exception()  # looked at, or asyncio would log it
            else:
                future.cancel()
            raise
