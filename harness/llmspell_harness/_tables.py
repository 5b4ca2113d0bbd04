"""A report as lines of plain text, for terminals, files and quotations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from statistics import median
from typing import Final

from llmspell_supervisor._text import escape_line, truncate

from ._catalogue import catalogue
from ._results import BROKEN, RED, Report, Result

_TITLE: Final = 46
"""Characters of a title: the longest is shorter."""
_BY: Final = 60
"""Characters of what stopped an attack."""
_ENGINES: Final = {("lua",): "Lua", ("javascript",): "JS", ("javascript", "lua"): "both", (): "-"}
_SECTIONS: Final = {
    "lua": "Lua engine",
    "javascript": "JavaScript engine",
    "engines": "Python and WebAssembly engines",
    "os": "Operating system",
    "protocol": "Protocol",
    "bridges": "Bridges and the host",
}


def report_lines(report: Report) -> Iterator[str]:
    """The table of attacks, class by class, and the summary."""
    off = sum(not state.startswith("on") for state in report.layers.values())
    yield report.host
    yield f"user {report.user}; {len(report.layers) - off} layers on, {off} off"
    for aim, results in groupby(report.results, lambda r: catalogue()[r.id].aim):
        yield ""
        yield f"{_SECTIONS[aim]:<{_TITLE + 5}} engine  walls  stopped by"
        for result in results:
            yield _row(result)
            yield from (f"     ! {escape_line(failure)}" for failure in result.failures)
    yield ""
    yield from summary(report)


def _row(result: Result) -> str:
    walls = "-" if result.weakest is None else str(result.weakest)
    engines = _ENGINES.get(result.engines, ", ".join(result.engines))
    return f"{result.id}  {result.title:<{_TITLE}} {engines:<7} {walls:<6} {_outcome(result)}"


def _outcome(result: Result) -> str:
    if result.state == "waits":
        entry = catalogue()[result.id]
        kind = "engine" if entry.status == "needs_engine" else "bridge"
        return f"waits for the {kind} {entry.needs}"
    if result.state == "not_run":
        return "NOT RUN"
    words = truncate(escape_line("; ".join(result.by)), _BY)
    return words if result.state == "stopped" else f"{result.state.upper()}: {words}"


def summary(report: Report) -> Iterator[str]:
    """What a person can quote."""
    yield (
        f"{len(report.results)} attacks: {report.count('stopped')} stopped, "
        f"{report.count('accepted')} accepted and documented, "
        f"{report.count('waits')} wait for what they attack"
    )
    walled = [r.weakest for r in report.results if r.weakest is not None]
    if walled:
        controls = sum(r.controlled for r in report.results)
        yield (
            f"walls that stop each alone: at least {min(walled)}, most often {median(walled):g}; "
            f"{controls} of {len(walled)} kinds were seen to succeed without theirs"
        )
    if report.matrix:
        cells = sum(map(len, report.matrix.values()))
        yield f"ablation: {cells} cells, {len(report.red)} red"
    bad = report.count("succeeded", "broken", "not_run") + len(report.red + report.unclear)
    verdict = "no attack succeeded" if report.ok else f"FAILED: {bad} findings, marked above"
    yield f"{verdict} ({report.trials} trials in {report.seconds:g} s)"


def matrix_table(report: Report) -> Iterator[str]:
    """The ablation matrix: a row per attack, a column per layer that is left out."""
    layers = list(dict.fromkeys(layer for row in report.matrix.values() for layer in row))
    marks = {"stopped": ".", "refused": "-", BROKEN: "?", RED: "X"}
    yield "Each attack without each layer: . still stopped, - no worker starts without that layer,"
    yield "X succeeded, ? the attack itself failed"
    yield ""
    for number, layer in enumerate(layers):
        yield f"     {'| ' * number}{layer}"
    for key, row in report.matrix.items():
        yield f"{key}  {' '.join(marks[row[layer]] if layer in row else ' ' for layer in layers)}"
    for cell in report.red:
        yield f"red: {cell}"
    for cell in report.unclear:
        yield f"unclear: {cell}"
