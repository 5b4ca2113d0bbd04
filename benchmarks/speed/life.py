"""Where the time of one run goes: moments of a run's life, seen from the supervisor."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from llmspell_protocol import control
from llmspell_supervisor import Supervisor
from llmspell_supervisor._run import Run
from llmspell_supervisor._zygotes import Zygote

from .ours import TRIVIAL, timed

MOMENTS = (
    "run() is called",
    "the fork is asked for",
    "the zygote says that it has forked",
    "the worker is locked, tested and says Ready",
    "the worker says its result",
    "the zygote says that the worker has ended",
    "run() returns",
)


@contextlib.contextmanager
def _watched(seen: list[float]) -> Iterator[None]:
    """Note the time at which each of the moments in between is there."""

    def noting(inner: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
        def outer(*arguments: Any) -> Any:
            if when(*arguments):
                seen.append(time.perf_counter())
            return inner(*arguments)

        return outer

    def always(*_: Any) -> bool:
        return True

    def is_of(*kinds: type) -> Callable[..., bool]:
        return lambda _, message, *__: isinstance(message, kinds)

    patches = {
        (Zygote, "_request"): always,
        (Zygote, "_handle"): is_of(control.Forked, control.Exited),
        (Run, "_ready"): always,
        (Run, "_result"): always,
    }
    before = {place: getattr(*place) for place in patches}
    for (owner, name), when in patches.items():
        setattr(owner, name, noting(before[owner, name], when))
    try:
        yield
    finally:
        for (owner, name), inner in before.items():
            setattr(owner, name, inner)


async def life(running: Supervisor, engine: str, rounds: int) -> list[tuple[str, float]]:
    """Each moment of a run without a pool, and the median seconds since the one before it."""
    gaps: list[list[float]] = []
    seen: list[float] = []
    with _watched(seen):
        for _ in range(rounds):
            seen.clear()
            began = time.perf_counter()
            await timed(running, TRIVIAL, engine)
            moments = [began, *seen, time.perf_counter()]
            if len(moments) != len(MOMENTS):
                raise RuntimeError(f"a run had {len(moments)} moments, not {len(MOMENTS)}")
            gaps.append([b - a for a, b in itertools.pairwise(moments)])
    medians = (statistics.median(column) for column in zip(*gaps, strict=True))
    return list(zip(MOMENTS[1:], medians, strict=True))
