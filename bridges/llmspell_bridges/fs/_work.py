"""Work on files in threads, which nobody can interrupt: what is given up commits nothing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from .._threads import outlast

T = TypeVar("T")

THREADS: Final = 16
"""A file system that hangs may hold as many; other bridges have threads of their own."""


COMMIT_GRACE: Final = 10.0
"""Seconds for a change that is being made, a rename for the most part, when its call is given up."""


class Abandoned(Exception):
    """Nobody waits for this work any more: the call was cancelled, or its time was over."""


class Fence:
    """Between a call and its work: once the call is over, the work changes nothing more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._committing = False

    def check(self) -> None:
        """Raises `Abandoned` when the call is over. For loops."""
        if self._over:
            raise Abandoned

    @contextlib.contextmanager
    def commit(self) -> Iterator[None]:
        """Around one change that can be seen. Raises `Abandoned` in place of it."""
        with self._lock:  # held for a moment only: the event loop takes it as well
            self.check()
            self._committing = True
        try:
            yield
        finally:
            with self._lock:
                self._committing = False

    def close(self) -> bool:
        """No change from here on. Whether one is being made at this moment."""
        with self._lock:
            self._over = True
            return self._committing


class Workshop:
    """Threads for one bridge. They start when the first work does."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def do(self, work: Callable[[Fence], T]) -> T:
        """Run `work` in a thread. Cancelled, it waits for a change that is under way, not more."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fs")
        fence = Fence()
        future = asyncio.get_running_loop().run_in_executor(self._threads, work, fence)
        try:
            await asyncio.wait([future])  # which does not cancel it
            return future.result()
        finally:
            if fence.close():
                await outlast(future, COMMIT_GRACE)
            future.cancel()  # where it has not begun, it never does

    def close(self) -> None:
        """Begin no more work."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
