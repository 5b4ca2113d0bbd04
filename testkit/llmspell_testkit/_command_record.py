"""The command `record`: run a spell, and keep the run in a file."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from llmspell_supervisor import RunReport, UsageError
from llmspell_supervisor._pool import NO_POOL
from llmspell_supervisor._text import escape_line
from llmspell_supervisor.cli._arguments import PROGRAM
from llmspell_supervisor.cli._problems import show_problem, use_colour
from llmspell_supervisor.cli._run import Job, prepare

from .recording._case import case_text
from .recording._file import Recording, made, save
from .recording._record import record
from .spells._overlay import StagedSupervisor

if TYPE_CHECKING:
    from llmspell_supervisor.cli._console import Console

TESTS: Final = ".test.toml"


def run(arguments: SimpleNamespace, console: Console) -> int:
    """Run the command: the exit code of the run. Raises `SupervisorError` before it."""
    tests = os.path.splitext(arguments.output)[0] + TESTS
    for path in (arguments.output, *([tests] if arguments.test else ())):
        if os.path.lexists(path) and not arguments.force:
            raise UsageError(f"{escape_line(path)} is there already", "overwrite it with --force")
    if arguments.spell == "-" and arguments.test:
        raise UsageError("--test: a test needs a spell that is a file")
    force, arguments.force = arguments.force, False  # which is for another flag of `run`
    job = prepare(arguments)
    arguments.force = force
    report, recording = asyncio.run(_record(job, console))
    console.end_line()
    if report.ok:
        console.value(report.value)
    if report.problem is not None:
        shown = show_problem(report.problem, job.spell, report.verdict, colour=use_colour())
        console.err(shown)
    save(arguments.output, recording)
    _note(console, f"recorded {count(len(made(recording)), 'call')} in {arguments.output}")
    if arguments.test:
        _write(tests, case_text(recording, arguments.spell, arguments.output))
        _note(console, f"wrote the test {tests}: {PROGRAM} test {tests}")
    return report.exit_code


async def _record(job: Job, console: Console) -> tuple[RunReport, Recording]:
    supervisor = StagedSupervisor(
        job.config, model=job.model, pool=NO_POOL, on_log=console.log, audit=job.audit
    )
    async with supervisor:
        return await record(supervisor, job.spell, params=job.params, policy=job.resolved.policy)


def count(number: int, what: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _note(console: Console, text: str) -> None:
    console.err(escape_line(f"{PROGRAM}: note: {text}"))


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{escape_line(path)} cannot be written: {error.strerror}") from None
