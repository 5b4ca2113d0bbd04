"""`validate`: parse spells without running them, each in a locked worker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from .._errors import ConfigError, SpellError, SupervisorError
from .._report import Problem
from .._spell import Spell
from .._supervisor import Supervisor
from .._text import escape_line
from .._verdict import EXIT_CODES, EXIT_USAGE
from ._arguments import PROGRAM, flag_values
from ._console import Console
from ._problems import show_problem, use_colour
from ._run import read_spell


def validate(arguments: SimpleNamespace) -> int:
    """Run the command `validate`: 0 when every spell parses, 1 when one does not.

    One that cannot be read, or whose manifest is wrong, is said and the others are still checked; the exit code is then 2.
    """
    console = Console(json=arguments.json)
    spells, unread = _read(arguments)
    problems = asyncio.run(_validate(spells, flag_values(arguments)))
    for error in unread:
        console.err(f"{PROGRAM}: error: {error}")
    for spell, problem in zip(spells, problems, strict=True):
        if problem is not None:
            console.err(show_problem(problem, spell, "script_error", colour=use_colour()))
        elif not arguments.json:
            console.out(f"{escape_line(spell.name)}: ok")
    if arguments.json:
        console.document([_entry(s, p) for s, p in zip(spells, problems, strict=True)])
    if unread:
        return EXIT_USAGE
    return EXIT_CODES["script_error"] if any(problems) else 0


def _read(arguments: SimpleNamespace) -> tuple[list[Spell], list[SupervisorError]]:
    spells: list[Spell] = []
    unread: list[SupervisorError] = []
    for path in arguments.spells:
        try:
            spells.append(read_spell(path, arguments.engine)[0])
        except (SpellError, ConfigError) as error:
            unread.append(error)
    return spells, unread


async def _validate(spells: list[Spell], flags: dict[str, Any]) -> list[Problem | None]:
    async with Supervisor() as supervisor:
        return [await supervisor.validate(spell, **flags) for spell in spells]


def _entry(spell: Spell, problem: Problem | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"spell": spell.name, "engine": spell.engine, "ok": problem is None}
    if problem is not None:
        place = {"line": problem.line, "column": problem.column}
        entry["problem"] = {"message": problem.message, "hint": problem.hint, **place}
    return entry
