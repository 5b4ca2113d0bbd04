"""The command `harness`: run the suite, show what came of it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmspell_supervisor import SupervisorError, UsageError

from ._attack import Host
from ._canaries import Canaries
from ._catalogue import CLASSES, catalogue
from ._results import Report, describe_host, matrix, summarise
from ._stage import Attack
from ._suite import (
    Planned,
    carry_out,
    declared,
    layers_of_this_host,
    plan_ablation,
    plan_held,
    plan_walls,
)
from ._tables import matrix_table, report_lines
from ._trial import Trial

if TYPE_CHECKING:
    from llmspell_supervisor.cli._console import Console

_WALL_ENGINE: Final = "lua"
"""Walls are tried one by one in this engine, unless another one is asked for or all layers are left
out in turn: they are the same for every engine but its list of system calls."""

Chosen = list[tuple[Attack | Host, str]]


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the command: 0 when no attack succeeded and none is missing, else 1."""
    chosen = _choose(arguments)
    isolation = getattr(arguments, "policy.isolation", None) or "strict"
    report = asyncio.run(_suite(arguments, chosen, isolation))
    if arguments.json:
        console.document(msgspec.to_builtins(report))
    else:
        for line in report_lines(report):
            console.out(line)
        if report.matrix:
            console.out("")
            for line in matrix_table(report):
                console.out(line)
    if arguments.output:
        _write(arguments.output, report)
    return 0 if report.ok else 1


def _choose(arguments: argparse.Namespace) -> Chosen:
    """The attacks that were asked for. Raises `UsageError`."""
    for key in arguments.ids:
        if key not in catalogue():
            raise UsageError(f"no attack has the id '{key}'", "see docs/attacks.md, such as O12")
    ids = {
        key
        for key, entry in catalogue().items()
        if (not arguments.ids or key in arguments.ids)
        and (arguments.aim is None or entry.aim == arguments.aim)
    }
    found = [
        (attack, engine)
        for attack, engine in declared()
        if attack.id in ids and arguments.engine in (None, "", engine or arguments.engine)
    ]
    if not found:
        raise UsageError("no attack is left by --engine, --class and the ids", "leave one out")
    return found


async def _suite(arguments: argparse.Namespace, chosen: Chosen, isolation: str) -> Report:
    began = time.monotonic()
    async with Canaries() as canaries:
        engines = list(dict.fromkeys(engine for _, engine in chosen if engine)) or [_WALL_ENGINE]
        layers = await layers_of_this_host(canaries, engines[0], isolation)
        plan = _plan(arguments, chosen, layers)
        with _progress(len(plan)) as step:
            trials = await carry_out(plan, canaries, isolation=isolation, on_trial=step)
    return Report(
        host=describe_host(),
        user=os.geteuid(),
        layers=layers,
        results=summarise(trials, _asked(arguments, chosen)),
        matrix=matrix(trials),
        trials=len(trials),
        seconds=round(time.monotonic() - began, 1),
    )


def _asked(arguments: argparse.Namespace, chosen: Chosen) -> Iterator[str]:
    """The ids that are answered for. With an engine named, those of other engines are not."""
    covered = {attack.id for attack, _ in chosen}
    for key, entry in catalogue().items():
        named = not arguments.ids or key in arguments.ids
        aimed = arguments.aim is None or entry.aim == arguments.aim
        if named and aimed and (key in covered or arguments.engine is None):
            yield key


def _plan(arguments: argparse.Namespace, chosen: Chosen, layers: dict[str, str]) -> list[Planned]:
    plan = plan_held(chosen)
    if arguments.quick:
        return plan
    walled = [c for c in chosen if c[1] == (arguments.engine or _WALL_ENGINE)]
    on = [name for name, state in layers.items() if state.startswith("on")]
    plan += plan_walls(walled, root=os.geteuid() == 0, layers=frozenset(on))
    if arguments.ablate:
        plan += plan_ablation(chosen, on)
    return plan


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[Trial], None]]:
    """A bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield lambda _: None
        return
    from rich.console import Console as Screen
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Screen(stderr=True), transient=True) as bar:
        task = bar.add_task("attacks", total=total)

        def step(trial: Trial) -> None:
            bar.update(task, advance=1, description=f"{trial.id} {trial.purpose:<8}")

        yield step


def _write(path: str, report: Report) -> None:
    """The whole report as JSON. Raises `SupervisorError`."""
    data: Any = msgspec.json.format(msgspec.json.encode(report))
    try:
        Path(path).write_bytes(data + b"\n")
    except OSError as error:
        raise SupervisorError(f"{path}: {error.strerror}", "name another file") from None


AIMS: Final = tuple(CLASSES.values())
