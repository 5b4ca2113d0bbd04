"""`run`: read the spell, resolve its policy, run it, show what came of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from .._ahead import Ahead
from .._config import Config, find_config
from .._errors import SpellError, UsageError
from .._lean import lean_imports
from .._manifest import Manifest, find_manifest
from .._report import RunReport
from .._resolve import COMMAND_LINE, Layer, Resolved, resolve
from .._spell import MAX_SOURCE, Spell, check_engine
from .._text import escape, escape_line
from ._arguments import PROGRAM, flag_values
from ._console import Console
from ._params import read_params, read_stdin
from ._problems import show_problem, use_colour

if TYPE_CHECKING:
    from ._learn import Lesson

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
    audit: str | None
    dry_run: bool
    manifest: Manifest | None
    lesson: Lesson | None
    """What is learnt of the run, for `--learn`."""


def run(arguments: SimpleNamespace) -> int:
    """Run the command `run`. Returns the exit code; raises `SupervisorError` before the run."""
    console = Console(quiet=arguments.quiet, verbose=arguments.verbose, json=arguments.json)
    job = prepare(arguments)
    if not arguments.quiet:
        for note in (*job.resolved.notes, *_unset(job.resolved)):
            console.err(escape_line(f"{PROGRAM}: note: {note}"))
    with _begun(job) as ahead, console.background():
        with lean_imports():
            from ._live import Interrupted, live
        interrupted = Interrupted()
        report = live(job, ahead, console, interrupted, quiet=arguments.quiet)
    learned = _learned(report, job, console)
    _show(report, job, console, arguments, learned)
    if learned is not None and not _keep(learned, console, arguments):
        return EXIT_OUTPUT
    if console.lost is not None:
        return _output_lost(console, console.lost)
    return 128 + interrupted.signal if interrupted.signal else report.exit_code


def _learned(report: RunReport, job: Job, console: Console) -> str | None:
    """The manifest that `--learn` asks for; none of a run that did not end well."""
    if job.lesson is None:
        return None
    if not report.ok:
        console.err(f"{PROGRAM}: note: nothing was learnt: the run did not end well")
        return None
    from ._learn import manifest_text

    return manifest_text(job.lesson, job.spell, job.params, report, job.manifest)


def _keep(learned: str, console: Console, arguments: SimpleNamespace) -> bool:
    """Write what was learnt where it is wanted. False, and a line on stderr, if that failed."""
    if arguments.learn == "-":
        if not arguments.json:  # else it is in the report
            console.out(escape(learned.rstrip("\n")))
        return True
    from ._init import write_file

    try:
        write_file(arguments.learn, learned, force=arguments.force)
    except OSError as error:
        shown = escape_line(arguments.learn)
        console.err(f"{PROGRAM}: error: {shown} cannot be written: {error.strerror}")
        return False
    return True


def _begun(job: Job) -> contextlib.AbstractContextManager[Ahead | None]:
    """The worker of this run, asked for before the rest is imported."""
    try:
        return Ahead(job.spell.engine, job.resolved.policy)
    except OSError:  # the run asks once more, and explains the failure
        return contextlib.nullcontext()


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


def prepare(arguments: SimpleNamespace) -> Job:
    """Read and check all input. Raises `SupervisorError`."""
    if arguments.spell == "-" and arguments.params == "-":
        raise UsageError("--params -: standard input is the spell already")
    if arguments.dry_run and arguments.learn is not None:
        raise UsageError("--learn: a dry run does not show what a run needs", "leave one out")
    if arguments.force and arguments.learn is None:
        raise UsageError("--force is for --learn")
    if arguments.model == "":
        raise UsageError("--model is empty", "name one, such as --model local")
    spell, manifest = read_spell(arguments.spell, arguments.engine)
    config = find_config(arguments.config)
    layers = config.layers(arguments.profile)
    layers.append(Layer(COMMAND_LINE, flag_values(arguments)))
    lesson = None
    if arguments.learn is not None:
        from ._learn import Lesson, check_target

        check_target(arguments.learn, force=arguments.force)
        lesson = Lesson()
    elif manifest is not None:
        layers.append(manifest.layer)
    declared = manifest.parameters if manifest is not None else None
    return Job(
        spell=spell,
        params=read_params(arguments.param, arguments.params, declared),
        config=config,
        resolved=resolve(layers),
        model=arguments.model,
        audit=arguments.audit,
        dry_run=arguments.dry_run,
        manifest=manifest,
        lesson=lesson,
    )


def read_spell(path: str, engine: str | None) -> tuple[Spell, Manifest | None]:
    """A spell and its manifest from a file, or a spell from standard input for `-`.

    Raises `SpellError`, or `ConfigError` for the manifest.
    """
    if engine is not None:
        check_engine(engine)
    if path != "-":
        manifest = find_manifest(path)
        if manifest is not None:
            engine = engine or manifest.engine
        return Spell.from_path(path, engine=engine), manifest
    source = read_stdin(MAX_SOURCE, "a spell", SpellError)
    return Spell.from_text(source, engine, "standard input"), None


def _show(
    report: RunReport,
    job: Job,
    console: Console,
    arguments: SimpleNamespace,
    learned: str | None,
) -> None:
    console.end_line()
    if report.ok and not arguments.json:
        console.value(report.value)
    if report.dry_run and not arguments.json:
        from ._summary import plans

        for row in plans(report):
            console.out(escape_line(row))
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
        from ._summary import summary

        for row in summary(report, job.resolved):
            console.err(escape_line(row))
    if arguments.json:
        from ._summary import report_as_builtins

        document = report_as_builtins(report, job.resolved)
        if learned is not None:
            document["manifest"] = learned
        console.document(document)
