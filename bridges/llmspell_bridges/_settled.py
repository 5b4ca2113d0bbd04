"""Waiting for work that must come to its end, whatever becomes of who waits."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def settled(task: asyncio.Future[T], *, stop: bool = False) -> T:
    """Wait until it has ended, also when cancelled, which is raised then.

    With `stop`, the first cancellation reaches `task` as well; a second one, which would cut short how
    it cleans up, does not.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            if stop and cancelled is None:
                task.cancel()
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # or asyncio would say that nobody has asked for it
    try:
        raise cancelled
    finally:
        del cancelled  # which leads back here
