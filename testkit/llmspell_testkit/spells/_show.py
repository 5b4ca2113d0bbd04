"""What a person reads of a run of tests."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from llmspell_supervisor._text import escape_line, truncate

if TYPE_CHECKING:
    from ._session import Totals
    from ._types import Failure, Outcome

_CODES: Final = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_LETTERS: Final = {"passed": ".", "failed": "F", "skipped": "s", "error": "E"}
_MARKS: Final = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip", "error": "ERR "}
_COLOURS: Final = {"passed": "green", "failed": "red", "skipped": "yellow", "error": "red"}
WIDTH: Final = 80
"""Marks on one line, and the width of a heading."""
_MAX_LOGS: Final = 20
_MAX_LINE: Final = 200
_MAX_DIFF: Final = 60
"""Lines of a comparison: what a person reads before they open the files."""


class Painter:
    """Colours, where there is a terminal for them."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, *styles: str) -> str:
        """`text` in these styles."""
        if not self._colour or not text:
            return text
        codes = ";".join(_CODES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"


def use_colour() -> bool:
    """Whether standard output is a terminal that wants colour (no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def mark(outcome: Outcome, paint: Painter) -> str:
    """One letter for one test."""
    return paint(_LETTERS[outcome.status], _COLOURS[outcome.status])


def name_line(outcome: Outcome, paint: Painter) -> str:
    """One line for one test."""
    word = paint(_MARKS[outcome.status], _COLOURS[outcome.status])
    took = paint(f" ({outcome.seconds * 1000:.0f} ms)", "dim") if outcome.seconds else ""
    return f"{word} {escape_line(outcome.file)} {escape_line(outcome.name)}{took}"


def failures(totals: Totals, paint: Painter) -> Iterator[str]:
    """Lines about everything that failed, file by file."""
    failed = [o for o in totals.outcomes if o.failure is not None]
    for outcome in sorted(failed, key=lambda o: (o.file, o.failure.line or 0 if o.failure else 0)):
        assert outcome.failure is not None
        yield ""
        title = f"{outcome.file}: {outcome.name}" if outcome.name else outcome.file
        yield paint(f"{_MARKS[outcome.status].strip()} {escape_line(title)}", "red", "bold")
        yield from about(outcome.failure, paint)


def about(failure: Failure, paint: Painter) -> Iterator[str]:
    """Lines about one failure: where, what, both values, the console."""
    place = failure.file if failure.line is None else f"{failure.file}:{failure.line}"
    if failure.line is not None and failure.column is not None:
        place += f":{failure.column}"
    first, *rest = truncate(failure.message, 4000).split("\n")
    yield f"  {paint(escape_line(place) + ':', 'bold')} {escape_line(first)}"
    yield from (f"    {escape_line(line)}" for line in rest)
    if failure.source.strip():
        text = truncate(failure.source.replace("\t", "    "), _MAX_LINE)
        yield f"{failure.line:5} {paint('|', 'dim')} {escape_line(text)}"
    if failure.compared:
        yield from comparison(failure.expected, failure.actual, paint)
    if failure.hint:
        yield f"  {paint('hint:', 'bold')} {escape_line(failure.hint)}"
    if failure.logs:
        yield paint("  console:", "dim")
        lines = [line for text in failure.logs for line in text.split("\n")]
        yield from (f"    {escape_line(truncate(line, _MAX_LINE))}" for line in lines[:_MAX_LOGS])
        if len(lines) > _MAX_LOGS:
            yield f"    ... {len(lines) - _MAX_LOGS} more lines"


def comparison(
    expected: Any, actual: Any, paint: Painter, names: tuple[str, str] = ("expected", "actual")
) -> Iterator[str]:
    """Both values: short ones under each other, long ones as lines that went and came."""
    old, new = value_lines(expected), value_lines(actual)
    if len(old) == len(new) == 1:
        for name, line, style in zip(names, (old[0], new[0]), ("green", "red"), strict=True):
            label = f"{name}:".ljust(max(map(len, names)) + 1)
            yield f"    {paint(f'{label} {escape_line(truncate(line, _MAX_LINE))}', style)}"
        return
    yield f"    {paint(f'- {names[0]}', 'green')}  {paint(f'+ {names[1]}', 'red')}"
    rows = list(difflib.ndiff(old, new))
    rows = [row for row in rows if not row.startswith("?")]
    for row in rows[:_MAX_DIFF]:
        style = {"-": "green", "+": "red"}.get(row[0], "dim")
        yield f"    {paint(escape_line(truncate(row, _MAX_LINE)), style)}"
    if len(rows) > _MAX_DIFF:
        yield f"    ... {len(rows) - _MAX_DIFF} more lines"


def value_lines(value: Any) -> list[str]:
    """A value as lines: a long text as it is, the rest as JSON."""
    if isinstance(value, str) and "\n" in value.strip("\n"):
        return value.split("\n")
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=repr)
    flat = json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)
    return [flat] if len(flat) <= WIDTH else text.split("\n")


def summary(totals: Totals, paint: Painter) -> Iterator[str]:
    """The last lines: what is stale, what was written, how many ended how."""
    for file, name in totals.stale:
        yield paint(f"stale snapshot in {escape_line(file)}: '{escape_line(name)}'", "yellow")
    if totals.stale:
        yield "  no test asked for it: --update removes it"
    for path in totals.written:
        yield f"wrote {escape_line(path)}"
    if totals.covered:
        yield paint("lines that were run:", "bold")
        yield from (f"  {escape_line(row)}" for row in totals.covered)
    parts = []
    for status, word in (("failed", "failed"), ("error", "error"), ("passed", "passed"),
                         ("skipped", "skipped")):  # fmt: skip
        count = totals.count(status)
        if count:
            plural = "s" if status == "error" and count > 1 else ""
            parts.append(paint(f"{count} {word}{plural}", _COLOURS[status], "bold"))
    if totals.unwanted:
        parts.append(f"{totals.unwanted} not chosen")
    files = len({outcome.file for outcome in totals.outcomes})
    told = ", ".join(parts) or "no tests"
    yield f"{told} in {files} file{'' if files == 1 else 's'}, {totals.seconds:.1f} s"
