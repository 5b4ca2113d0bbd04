"""What went wrong, as a person sees it: place, message, source line with a caret, hint."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .._text import escape_line, prefix_lines, truncate

if TYPE_CHECKING:
    from .._errors import SupervisorError
    from .._report import Problem
    from .._spell import Spell
    from .._verdict import Verdict

_RED: Final = "31"
_BOLD: Final = "1"
_DIM: Final = "2"
_WINDOW: Final = 100
"""Characters of a source line that are shown; a minified script has one line of megabytes."""
_MAX_MESSAGE: Final = 4000
"""Characters of a message: a script can raise an error as long as its memory."""


def use_colour() -> bool:
    """Whether stderr is a terminal that wants colour (no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stderr.isatty()


def show_problem(
    problem: Problem, spell: Spell, verdict: Verdict, *, colour: bool, stack: bool = False
) -> str:
    """Several lines for stderr, safe to show, without a last newline."""
    return "\n".join(_lines(problem, spell, verdict, colour=colour, stack=stack))


def show_error(error: SupervisorError, program: str) -> str:
    """One line for an error of the supervisor itself."""
    hint = f" ({error.hint})" if error.hint else ""
    return escape_line(f"{program}: error: {error.message}{hint}")


def _lines(
    problem: Problem, spell: Spell, verdict: Verdict, *, colour: bool, stack: bool
) -> Iterator[str]:
    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    place = ":".join(str(p) for p in (spell.name, problem.line, problem.column) if p is not None)
    first, *rest = truncate(problem.message, _MAX_MESSAGE).split("\n")
    label = paint(f"{_label(problem, verdict)}:", _RED)
    yield f"{paint(escape_line(place) + ':', _BOLD)} {label} {escape_line(first)}"
    for line in rest:  # indented, so that no line of a message looks like one of ours
        yield "    " + escape_line(line)
    yield from _source(problem, spell, paint(" |", _DIM))
    if problem.hint:
        yield f"{paint('hint:', _BOLD)} {escape_line(problem.hint)}"
    if stack and problem.stack:
        yield prefix_lines(truncate(problem.stack.strip(), _MAX_MESSAGE), "    ")


def _label(problem: Problem, verdict: Verdict) -> str:
    """`error`, or what kind of error, or which verdict."""
    if verdict != "script_error":
        return verdict
    kind = problem.error.kind if problem.error else "Script"
    return "error" if kind == "Script" else f"{kind} error"


def _source(problem: Problem, spell: Spell, bar: str) -> Iterator[str]:
    lines = spell.source.split("\n")
    if problem.line is None or not 1 <= problem.line <= len(lines):
        return
    text = lines[problem.line - 1].rstrip("\r")
    column = max(1, min(problem.column or 1, len(text) + 1))
    start = max(0, column - _WINDOW // 2) if len(text) > _WINDOW else 0
    before, after = text[start : column - 1], text[column - 1 : start + _WINDOW]
    if not text.strip():
        return
    number = f"{problem.line:5}"
    before = escape_line(before.replace("\t", "    "))
    yield f"{number}{bar} {before}{escape_line(after.replace(chr(9), '    '))}"
    if problem.column is not None:
        yield f"{' ' * len(number)}{bar} {' ' * len(before)}^"
