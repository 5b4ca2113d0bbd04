"""What hostile peers do to their supervisor and to other spells, which no verdict shows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar, Final

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method

from .._attack import BOTH, PEERS, Succeeded, host
from .._stage import SPARE_MEMORY, Stage
from .._trial import forget_peak, resident

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmspell_supervisor import RunReport

_SPELLS: Final = 200
"""Small spells in one measurement: the third slowest is their 99th percentile."""
_AT_MOST: Final = 2.0
"""How many times as long a spell may take beside a flood."""
_TRIES: Final = 3
"""Measurements of which one must be good: other programs of the host disturb them as well."""
_FLOODS: Final = (
    "P26 short lines",
    "P02 large calls",
    "P02 noise",
    "P15 refused calls",
)
_BIG: Final = 4 << 20
"""Bytes of an answer that nobody reads."""
_WITHOUT_FILTERS: Final = frozenset({"seccomp", "zygote_seccomp"})


@host("P02", "small spells beside a flood, against the same alone", engines=("lua",))
async def neighbours(stage: Stage) -> str:
    await _spells(stage)
    ratios: dict[str, float] = {}
    alone = await _spells(stage)
    for key in _FLOODS:
        for _ in range(_TRIES):
            async with _flooded(stage, key):
                beside = await _spells(stage)
            before, alone = alone, await _spells(stage)
            ratio = _percentile(beside) / _percentile(before + alone)
            ratios[key] = min(ratio, ratios.get(key, ratio))
            if ratio <= _AT_MOST:
                break
    words = ", ".join(f"{ratio:.2f} x beside {key}" for key, ratio in ratios.items())
    if max(ratios.values()) > _AT_MOST:
        raise Succeeded(f"their 99th percentile is {words}")
    return f"their 99th percentile is {words}"


@contextlib.asynccontextmanager
async def _flooded(stage: Stage, key: str) -> AsyncIterator[None]:
    """One such peer after the other, as each is ended."""

    async def flood() -> None:
        while True:
            await stage.run(key, stage.engine, policy=PEERS[key].policy)

    task = asyncio.create_task(flood())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _spells(stage: Stage) -> list[float]:
    """Seconds that each of `_SPELLS` spells took, one after the other."""
    seconds = []
    for _ in range(_SPELLS):
        began = time.perf_counter()
        report = await stage.run("return 1", stage.engine)
        seconds.append(time.perf_counter() - began)
        _expect(report, "ok")
    return seconds


def _percentile(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


def _expect(report: RunReport, *verdicts: str) -> None:
    if report.verdict not in verdicts:
        words = report.problem.message if report.problem else ""
        raise Succeeded(f"the verdict is {report.verdict}: {words}")


class _Large(Bridge):
    """Answers that no pipe holds."""

    name: ClassVar[str] = "large"

    @method
    def text(self, ctx: CallContext) -> str:  # noqa: ARG002 - every method has it
        """Four megabytes."""
        return "x" * _BIG


@host("P16", "answers of megabytes that are never read", engines=BOTH)
async def unread_answers(stage: Stage) -> str:
    with contextlib.suppress(ValueError):  # of the engine before: it is there already
        stage.supervisor.bridges.add(_Large(BridgeConfig()))
    open_calls = 4
    policy = {"allow_bridges": ("large",), "max_concurrent": open_calls, "timeout": 0.5}
    forget_peak()
    before, _ = resident()
    _expect(await stage.run("P16 deaf", stage.engine, policy=policy), "wall_limit")
    answers = open_calls * _BIG
    grown = resident()[1] - before
    # Each once, and the one under way also as a message and as a frame.
    if grown > answers + 2 * _BIG + SPARE_MEMORY:
        raise Succeeded(f"the supervisor grew by {grown} bytes for {answers} of answers")
    return f"ended by the wall clock; {answers} bytes of answers were held in {grown}"


@host("P16", "a Start of a megabyte that is never read", engines=BOTH)
async def unread_start(stage: Stage) -> str:
    async with _another(stage, early="P16 deaf from the start") as other:
        params = {"big": "x" * 1_000_000}
        report = await other.run("return 1", stage.engine, params=params, policy={"timeout": 0.3})
    _expect(report, "wall_limit")
    return "ended by the wall clock"


@host("P17", "ends of the pipe that are closed, where the filter lets it", engines=BOTH)
async def closed_ends(stage: Stage) -> str:
    found = []
    async with _another(stage, skip=_WITHOUT_FILTERS) as other:
        for key in ("P17 close read end", "P17 close write end", "P17 close both ends"):
            report = await other.run(key, stage.engine, policy={"timeout": 1.0})
            _expect(report, "protocol_violation", "engine_crash")
            found.append(report.verdict)
        _expect(await other.run("return 1", stage.engine), "ok")
    return ", ".join(found)


@host("P25", "signals to itself that look like limits, where the filter lets it", engines=BOTH)
async def own_signals(stage: Stage) -> str:
    async with _another(stage, skip=_WITHOUT_FILTERS) as other:
        for key in ("P25 kill itself", "P25 out of time"):
            _expect(await other.run(key, stage.engine), "engine_crash")
    return "engine_crash, neither memory_limit nor cpu_limit"


@host("P29", "names of calls, which a report counts by", engines=BOTH)
async def labels(stage: Stage) -> str:
    report = await stage.run("P29 new names", stage.engine, policy={"max_calls": 500})
    _expect(report, "call_limit")
    if list(report.usage.calls) != ["unknown"]:
        raise Succeeded(f"the report has {len(report.usage.calls)} names of the spell's making")
    return f"{report.usage.calls['unknown']} calls under one name"


def _another(stage: Stage, *, skip: frozenset[str] = frozenset(), early: str = "") -> Stage:
    """A stage like this one, with workers of another kind."""
    return Stage(stage.canaries, skip=skip, early=early, isolation=stage.isolation)
