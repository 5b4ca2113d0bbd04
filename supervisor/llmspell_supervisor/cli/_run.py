"""`run`: read the spell, resolve its policy, run it, show what came of it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import Struct

from .._config import Config, find_config
from .._errors import SpellError, UsageError
from .._manifest import find_manifest
from .._report import Problem, RunReport, Usage
from .._resolve import COMMAND_LINE, Layer, Resolved, resolve
from .._spell import MAX_SOURCE, Spell, check_engine
from .._supervisor import Supervisor
from .._text import escape_line
from . import _status
from ._console import Console
from ._params import read_params, read_stdin
from ._parser import PROGRAM, flag_values
from ._problems import show_problem, use_colour
from ._summary import report_as_builtins, summary

GRACE: Final = 2.0
"""Seconds that a cancelled run has to make its report; it takes milliseconds."""
EXIT_BROKEN_PIPE: Final = 141
"""What a shell reports for a program that SIGPIPE ended, as in `| head`."""
EXIT_OUTPUT: Final = 74
"""Standard output could not be written: EX_IOERR of sysexits.h."""


class Job(Struct, frozen=True, kw_only=True):
    """Everything that a run needs, read and checked before anything is started."""

    spell: Spell
    params: dict[str, Any]
    config: Config
    resolved: Resolved
    model: str | None


class _Interrupted(Struct):
    """Which signal ended the run, if one did."""

    signal: int = 0


def run(arguments: argparse.Namespace) -> int:
    """Run the command `run`. Returns the exit code; raises `SupervisorError` before the run."""
    console = Console(quiet=arguments.quiet, verbose=arguments.verbose, json=arguments.json)
    job = prepare(arguments)
    if not arguments.quiet:
        for note in (*job.resolved.notes, *_unset(job.resolved)):
            console.err(escape_line(f"{PROGRAM}: note: {note}"))
    interrupted = _Interrupted()
    with console.background():
        report = asyncio.run(_run(job, console, interrupted, quiet=arguments.quiet))
    _show(report, job, console, arguments)
    if console.lost is not None:
        return _output_lost(console, console.lost)
    return 128 + interrupted.signal if interrupted.signal else report.exit_code


def _output_lost(console: Console, error: OSError) -> int:
    if isinstance(error, BrokenPipeError):  # `| head` is no mistake
        return EXIT_BROKEN_PIPE
    console.err(f"{PROGRAM}: error: standard output cannot be written: {error.strerror}")
    return EXIT_OUTPUT


def _unset(resolved: Resolved) -> Iterator[str]:
    """Granted variables that there are none of: most often a misspelt name."""
    for name in resolved.policy.allow_env:
        if name not in os.environ:
            yield f"environment variable {name} is granted but not set"


def prepare(arguments: argparse.Namespace) -> Job:
    """Read and check all input. Raises `SupervisorError`."""
    if arguments.spell == "-" and arguments.params == "-":
        raise UsageError("--params -: standard input is the spell already")
    if arguments.model == "":
        raise UsageError("--model is empty", "name one, such as --model local")
    spell = read_spell(arguments.spell, arguments.engine)
    config = find_config(arguments.config)
    layers = config.layers(arguments.profile)
    layers.append(Layer(COMMAND_LINE, flag_values(arguments)))
    if manifest := find_manifest(spell):
        layers.append(manifest)
    return Job(
        spell=spell,
        params=read_params(arguments.param, arguments.params),
        config=config,
        resolved=resolve(layers),
        model=arguments.model,
    )


def read_spell(path: str, engine: str | None) -> Spell:
    """A spell from a file, or from standard input for `-`. Raises `SpellError`."""
    if engine is not None:
        check_engine(engine)
    if path != "-":
        return Spell.from_path(path, engine=engine)
    source = read_stdin(MAX_SOURCE, "a spell", SpellError)
    return Spell.from_text(source, engine, "standard input")


async def _run(job: Job, console: Console, interrupted: _Interrupted, *, quiet: bool) -> RunReport:
    began = time.monotonic()
    line = _status.StatusLine(job.spell.name)
    supervisor = Supervisor(
        job.config, model=job.model, on_log=console.log, on_activity=line.activity
    )
    task = asyncio.create_task(_cast(job, supervisor))
    stop = functools.partial(_stop, supervisor, task)
    console.on_lost = functools.partial(_from_thread, asyncio.get_running_loop(), stop)
    try:
        with _signals(stop, interrupted), _shown(line, console, quiet=quiet):
            return await task
    except asyncio.CancelledError:
        return _cancelled(job, time.monotonic() - began)


def _from_thread(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over anyway
        loop.call_soon_threadsafe(stop)


async def _cast(job: Job, supervisor: Supervisor) -> RunReport:
    async with supervisor:
        return await supervisor.run(job.spell, params=job.params, policy=job.resolved.policy)


def _stop(supervisor: Supervisor, task: asyncio.Task[RunReport]) -> None:
    """End the run with its own report, or, when it has not begun or hangs, without."""
    supervisor.cancel_all()
    asyncio.get_running_loop().call_later(GRACE, task.cancel)


@contextlib.contextmanager
def _shown(line: _status.StatusLine, console: Console, *, quiet: bool) -> Iterator[None]:
    """The status line beside a run, where there is a terminal for it."""
    if not _status.wanted(quiet=quiet):
        yield
        return
    console.before_write = lambda open_line: line.close() if open_line else line.arm()
    line.arm()
    try:
        yield
    finally:
        console.before_write = lambda _: line.close()
        line.close()


@contextlib.contextmanager
def _signals(stop: Callable[[], None], interrupted: _Interrupted) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM cancels the run; a second ends the process on the spot.

    Nothing is left behind either way: the zygote dies with its supervisor, and workers with it.
    """
    loop = asyncio.get_running_loop()
    handled = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: signal.Signals) -> None:
        interrupted.signal = number
        for each in handled:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stop()

    for number in handled:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _cancelled(job: Job, wall: float) -> RunReport:
    """The report of a run that was cancelled before it could make its own."""
    return RunReport(
        spell=job.spell.name,
        engine=job.spell.engine,
        verdict="cancelled",
        problem=Problem(message="cancelled before the spell began"),
        usage=Usage(wall=wall),
        policy=job.resolved.policy,
    )


def _show(report: RunReport, job: Job, console: Console, arguments: argparse.Namespace) -> None:
    console.end_line()
    if report.ok and not arguments.json:
        console.value(report.value)
    if report.problem is not None and console.lost is None:
        console.err(
            show_problem(
                report.problem,
                job.spell,
                report.verdict,
                colour=use_colour(),
                stack=arguments.verbose,
            )
        )
    if arguments.verbose:
        for row in summary(report, job.resolved):
            console.err(escape_line(row))
    if arguments.json:
        console.document(report_as_builtins(report, job.resolved))
