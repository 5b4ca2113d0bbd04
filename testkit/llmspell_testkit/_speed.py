"""How much processor time spells take, side by side in one run, and a check on their ratio.

    speed = measure(stage, {"lua": (LUA, "lua"), "javascript": (JS, "javascript")}, rounds=20)
    assert_no_slower(speed, "javascript", than="lua", ratio=10)

Machines differ, and so does one machine from hour to hour. What is compared is therefore measured in
turns, in the same minute, and judged by the ratio of medians: never by a number from another day.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ._cases import Case
from ._stage import Stage


class Speed(Struct, frozen=True):
    """Seconds of processor time of one run, as the host has measured them."""

    median: float
    runs: tuple[float, ...]
    """In the order in which they were made."""


def measure(
    stage: Stage,
    spells: Mapping[str, tuple[str, str]],
    *,
    rounds: int = 20,
    params: Mapping[str, Any] | None = None,
    **policy: Any,
) -> dict[str, Speed]:
    """Run each spell, a source and its engine, once a round; by the names of `spells`.

    The first round is not counted: it starts zygotes. Raises `AssertionError` for a run that does not
    end well.
    """
    found: dict[str, list[float]] = {name: [] for name in spells}
    for number in range(rounds + 1):
        for name, (source, engine) in spells.items():
            report = stage.run(source, engine, params=params, **policy)
            assert report.verdict == "ok", (name, report.problem)
            if number:
                found[name].append(report.usage.cpu)
    return {name: Speed(statistics.median(runs), tuple(runs)) for name, runs in found.items()}


def measure_case(stage: Stage, case: Case, *, rounds: int = 20) -> dict[str, Speed]:
    """How a case compares in each of its languages, by engine."""
    spells = {engine: (source, engine) for engine, source in case.source.items()}
    return measure(stage, spells, rounds=rounds, params=case.params, **case.granted())


def assert_no_slower(speeds: Mapping[str, Speed], name: str, *, than: str, ratio: float) -> None:
    """Raise `AssertionError` if one takes more than `ratio` times as long as another."""
    base, mine = speeds[than].median, speeds[name].median
    assert mine <= base * ratio, (
        f"{name} takes {mine * 1000:.1f} ms, {mine / base:.1f} times as long as {than}"
        f" ({base * 1000:.1f} ms); {ratio:g} times is allowed"
    )
