"""From trials to findings: one per catalogue id, the ablation matrix, and the summary."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from ._catalogue import Entry, catalogue
from ._trial import Trial

State = Literal["stopped", "succeeded", "broken", "not_run", "accepted", "waits"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What the trials say about one id of the catalogue."""

    id: str
    title: str
    state: State
    trials: int = 0
    engines: tuple[str, ...] = ()
    walls: tuple[str, ...] = ()
    """Layers that stopped it alone, each shown by a trial without the others."""
    weakest: int | None = None
    """The least number of such walls that any variant has; None where walls were not tried."""
    by: tuple[str, ...] = ()
    """What stopped it with every layer on: each answer once."""
    controlled: bool = False
    """Whether it was seen to succeed without its walls."""
    note: str = ""
    failures: tuple[str, ...] = ()
    """In words: what went through, and which attacks are broken."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the suite on one host."""

    host: str
    user: int
    layers: dict[str, str]
    results: tuple[Result, ...]
    matrix: dict[str, dict[str, str]] = {}
    """Attack id to layer left out to what stopped it then; only with ablation."""
    trials: int
    seconds: float

    def count(self, *states: State) -> int:
        """How many ids are in one of these states."""
        return sum(result.state in states for result in self.results)

    @property
    def red(self) -> list[str]:
        """Cells of the matrix in which nothing stopped an attack, as `O12 without seccomp`."""
        return self._cells(RED)

    @property
    def unclear(self) -> list[str]:
        """Cells of the matrix whose attack itself failed, so that they say nothing."""
        return self._cells(BROKEN)

    def _cells(self, wanted: str) -> list[str]:
        return [
            f"{key} without {layer}"
            for key, row in self.matrix.items()
            for layer, cell in row.items()
            if cell == wanted
        ]

    @property
    def ok(self) -> bool:
        """Whether every attack was stopped, and every wall stood."""
        bad = self.count("succeeded", "broken", "not_run")
        return not (bad or self.red or self.unclear)


RED: Final = "SUCCEEDED"
BROKEN: Final = "broken"


def summarise(trials: Iterable[Trial], chosen: Iterable[str]) -> tuple[Result, ...]:
    """One result for each id in `chosen`, in the order of the catalogue."""
    by_id: dict[str, list[Trial]] = {}
    for trial in trials:
        by_id.setdefault(trial.id, []).append(trial)
    wanted = frozenset(chosen)
    return tuple(
        _result(entry, by_id.get(entry.id, []))
        for entry in catalogue().values()
        if entry.id in wanted
    )


def _result(entry: Entry, trials: list[Trial]) -> Result:
    held = [t for t in trials if t.purpose == "held"]
    walls = _walls(trials)
    failures = tuple(_failures(trials))
    outcomes = {t.outcome for t in trials if t.purpose != "ablation"}
    return Result(
        id=entry.id,
        title=entry.title,
        state=_state(entry, held, failures, broken=not {"broken", "refused"}.isdisjoint(outcomes)),
        trials=len(trials),
        engines=tuple(sorted({t.engine for t in held if t.engine})),
        walls=tuple(dict.fromkeys(wall for found in walls.values() for wall in found)),
        weakest=min(map(len, walls.values()), default=None),
        by=tuple(dict.fromkeys(t.by for t in held)),
        controlled=any(t.purpose == "control" for t in trials),
        note=entry.note,
        failures=failures,
    )


def _state(entry: Entry, held: list[Trial], failures: tuple[str, ...], *, broken: bool) -> State:
    if entry.waits:
        return "waits"
    if failures:
        return "broken" if broken else "succeeded"
    if not held:
        return "not_run"
    return "accepted" if entry.status == "accepted" else "stopped"


def _walls(trials: list[Trial]) -> dict[str, list[str]]:
    """Attack to the walls that stopped it alone; a limit of the run that ended it is one."""
    found: dict[str, list[str]] = {}
    for trial in trials:
        if trial.purpose == "wall":
            found.setdefault(trial.key, [])
            if trial.outcome == "stopped" and trial.alone:
                found[trial.key].append(trial.alone)
    for trial in trials:
        limit = f"{trial.verdict}"
        if trial.purpose == "held" and trial.key in found and limit.endswith("_limit"):
            found[trial.key] = list(dict.fromkeys([*found[trial.key], limit]))
    return found


def _failures(trials: list[Trial]) -> Iterable[str]:
    """A wall must stop, a control must not; a broken attack says nothing."""
    for trial in trials:
        if trial.purpose == "ablation":
            continue
        good = "succeeded" if trial.purpose == "control" else "stopped"
        if trial.outcome != good:
            where = f" in {trial.engine}" if trial.engine else ""
            without = f", without {', '.join(trial.skip)}" if trial.skip else ""
            yield f"{trial.key}{where}{without}: {trial.outcome}: {trial.by}"


def matrix(trials: Iterable[Trial]) -> dict[str, dict[str, str]]:
    """Attack id to layer left out to the worst cell of all its attacks."""
    cells: dict[str, dict[str, str]] = {}
    for trial in trials:
        if trial.purpose != "ablation":
            continue
        row = cells.setdefault(trial.id, {})
        layer = trial.skip[0]
        cell = RED if trial.outcome == "succeeded" else trial.outcome
        row[layer] = max(row.get(layer, "stopped"), cell, key=_RANK.index)
    return cells


_RANK: Final = ("stopped", "refused", BROKEN, RED)
"""Cells, from the best to the worst."""


def describe_host() -> str:
    """The machine in one line, for those who quote a result."""
    facts = platform.uname()
    return (
        f"{facts.system} {facts.release} {facts.machine}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}"
    )
