"""Work of agents that goes on beside the call that began it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from ..._clock import without_clock

T = TypeVar("T")


def beside(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Begin what outlasts the wait that began it: the clock of that wait is not its own."""
    return asyncio.create_task(work, context=without_clock())


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of it at the same time. The first that fails ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
