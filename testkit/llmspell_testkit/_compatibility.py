"""The table of features by language, made from the cases that the contracts run."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ._cases import SPELL_THEMES, Case

TITLES: Final = {
    "hello": "Spells",
    "types": "Values",
    "errors": "Errors",
    "async": "Calls, streams and sleep",
    "bridges": "Bridges",
    "limits": "Limits",
    "security": "What is not there",
    "speed": "Speed",
    "model": "Models",
}
YES: Final = "yes"

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}"
)


def compatibility_page(
    cases: Iterable[Case],
    engines: Sequence[str],
    *,
    heading: str,
    intro: str,
    format: str = "markdown",  # noqa: A002
) -> str:
    """A page with a table for each theme: a row for each case, a column for each engine.

    A cell is `yes`, what is different and why, or `no` where an engine does not write the case.
    `format` is `markdown` or `html`. Raises `ValueError` for another.
    """
    tables = list(_tables(cases, engines))
    if format == "markdown":
        return _markdown(heading, intro, engines, tables)
    if format == "html":
        return _html(heading, intro, engines, tables)
    raise ValueError(f"format must be markdown or html, not {format}")


def _tables(
    cases: Iterable[Case], engines: Sequence[str]
) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    held = list(cases)
    themes = [*SPELL_THEMES, *sorted({case.theme for case in held} - set(SPELL_THEMES))]
    for theme in themes:
        rows = [
            (case.name, *(_cell(case, engine) for engine in engines))
            for case in held
            if case.theme == theme
        ]
        if rows:
            yield TITLES.get(theme, theme), rows


def _cell(case: Case, engine: str) -> str:
    if engine not in case.source:
        return "no"
    difference = case.differs.get(engine)
    return f"differs: {difference.reason}" if difference else YES


def _markdown(
    heading: str,
    intro: str,
    engines: Sequence[str],
    tables: list[tuple[str, list[tuple[str, ...]]]],
) -> str:
    lines = [f"# {heading}\n", f"{intro}\n"]
    for title, rows in tables:
        lines += [f"## {title}\n", f"| feature | {' | '.join(engines)} |"]
        lines.append("|---" * (len(engines) + 1) + "|")
        lines += [
            f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows
        ]
        lines.append("")
    return "\n".join(lines)


def _html(
    heading: str,
    intro: str,
    engines: Sequence[str],
    tables: list[tuple[str, list[tuple[str, ...]]]],
) -> str:
    def row(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    parts = [
        "<!doctype html>",
        f'<html lang="en"><meta charset="utf-8"><title>{html.escape(heading)}</title>',
        f"<style>{_STYLE}</style>",
        f"<h1>{html.escape(heading)}</h1>",
        f"<p>{html.escape(intro)}</p>",
    ]
    for title, rows in tables:
        parts += [f"<h2>{html.escape(title)}</h2>", "<table>", row("th", ("feature", *engines))]
        parts += [row("td", each) for each in rows]
        parts.append("</table>")
    return "\n".join((*parts, "</html>", ""))
