"""The command `test`: run the tests of spells, show what came of them."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from llmspell_supervisor import Layer, SupervisorError, UsageError, find_config, resolve
from llmspell_supervisor._resolve import COMMAND_LINE
from llmspell_supervisor._text import escape_line
from llmspell_supervisor.cli._arguments import PROGRAM, flag_values
from llmspell_supervisor.cli._problems import show_error

from .spells._find import find
from .spells._junit import write_junit
from .spells._session import Options, Totals, run_tests
from .spells._show import WIDTH, Painter, failures, mark, name_line, summary, use_colour
from .spells._watch import Watch

if TYPE_CHECKING:
    from llmspell_supervisor.cli._console import Console

    from .spells._types import Outcome


WAITING: Final = "waiting for changes; Ctrl-C ends"


def run(arguments: SimpleNamespace, console: Console) -> int:
    """Run the command: 0 when no test failed, else 1. Raises `SupervisorError` for its input."""
    options = _options(arguments)
    if arguments.watch:
        return _watch(options, arguments, console)
    return 0 if _once(options, arguments, console).ok else 1


def _watch(options: Options, arguments: SimpleNamespace, console: Console) -> int:
    """Run the tests, and again whenever a file changes, until Ctrl-C. Raises `UsageError`."""
    watch = Watch(options.paths)
    code = 0 if _once(options, arguments, console).ok else 1
    console.out(WAITING)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            changed = watch.next()
            console.out("")
            console.out(escape_line(f"changed: {', '.join(changed)}"))
            try:
                code = 0 if _once(options, arguments, console).ok else 1
            except SupervisorError as error:  # a file that is half written: the next save mends it
                console.err(show_error(error, PROGRAM))
            console.out(WAITING)
    return code


def _options(arguments: SimpleNamespace) -> Options:
    config = find_config(arguments.config)
    flags = flag_values(arguments)
    policy = resolve([*config.layers(arguments.profile), Layer(COMMAND_LINE, flags)]).policy
    if "allow_bridges" not in flags:
        # Its models are scripted. What reaches the world in earnest has to be asked for here.
        scripted = tuple(b for b in policy.allow_bridges if b.partition(".")[0] == "llm")
        policy = replace(policy, allow_bridges=scripted)
    return Options(
        paths=tuple(arguments.paths),
        config=config,
        policy=policy,
        wanted=arguments.wanted or "",
        update=arguments.update,
        coverage=arguments.coverage,
    )


def _nothing(options: Options, totals: Totals) -> str:
    if totals.unwanted:
        return f"-k {escape_line(options.wanted)}: none of {totals.unwanted} tests is named so"
    return "the files declare no tests"


def _once(options: Options, arguments: SimpleNamespace, console: Console) -> Totals:
    files = find(options.paths)
    paint = Painter(colour=use_colour())
    count = 0

    def tell(outcome: Outcome) -> None:
        nonlocal count
        if arguments.verbose:
            console.out(name_line(outcome, paint))
            return
        console.piece(mark(outcome, paint))
        count += 1
        if count % WIDTH == 0:
            console.out("")

    totals = asyncio.run(run_tests(files, options, tell))
    console.end_line()
    if not totals.outcomes:
        raise UsageError(_nothing(options, totals))
    for line in failures(totals, paint):
        console.out(line)
    if not totals.ok:
        console.out("")
    for line in summary(totals, paint):
        console.out(line)
    if arguments.junit is not None:
        write_junit(arguments.junit, totals)
    return totals
