"""The command `replay`: run a recorded spell again, and say whether it did the same."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

from llmspell_supervisor import Config, RunReport, Spell
from llmspell_supervisor._pool import NO_POOL
from llmspell_supervisor._text import escape_line
from llmspell_supervisor.cli._arguments import flag_values

from ._command_record import count
from .recording._difference import Difference
from .recording._file import Recording, load, made
from .recording._replay import replay
from .spells._overlay import StagedSupervisor
from .spells._show import Painter, comparison, use_colour

if TYPE_CHECKING:
    from llmspell_supervisor.cli._console import Console


def run(arguments: SimpleNamespace, console: Console) -> int:
    """Run the command: 0 if all is as it was recorded, else 1. Raises `SupervisorError`."""
    recording = load(arguments.recording)
    spell = None
    if arguments.spell is not None:
        spell = Spell.from_path(arguments.spell, engine=recording.spell.engine)
    _, difference = asyncio.run(_replay(recording, spell, console, arguments))
    console.end_line()
    shown = escape_line(arguments.recording)
    calls = count(len(made(recording)), "call")
    if difference is None:
        console.out(f"{shown}: as recorded ({calls}, verdict {recording.result.verdict})")
        return 0
    paint = Painter(colour=use_colour())
    console.out(f"{shown}: {paint(escape_line(difference.what), 'red', 'bold')}")
    if difference.compared:
        for line in comparison(difference.recorded, difference.now, paint, ("recorded", "now")):
            console.out(line)
    return 1


async def _replay(
    recording: Recording, spell: Spell | None, console: Console, arguments: SimpleNamespace
) -> tuple[RunReport | None, Difference | None]:
    log = console.log if arguments.verbose else None
    isolation = flag_values(arguments).get("isolation", "strict")
    async with StagedSupervisor(Config(), pool=NO_POOL, on_log=log) as supervisor:
        return await replay(supervisor, recording, spell, isolation=isolation)
