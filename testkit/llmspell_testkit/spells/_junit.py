"""The report for continuous integration: JUnit's XML."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from llmspell_supervisor import UsageError
from llmspell_supervisor._text import escape, escape_line

from ._show import Painter, about

if TYPE_CHECKING:
    from ._session import Totals
    from ._types import Outcome

_TAGS = {"failed": "failure", "error": "error"}


def write_junit(path: str, totals: Totals) -> None:
    """Write the report to `path`. Raises `UsageError` where that fails."""
    root = ET.Element("testsuites", name="llmspell-supervisor test", time=f"{totals.seconds:.3f}")
    outcomes = sorted(totals.outcomes, key=lambda outcome: outcome.file)
    for file, group in groupby(outcomes, key=lambda outcome: outcome.file):
        _suite(root, file, list(group))
    for key, status in (("failures", "failed"), ("errors", "error"), ("skipped", "skipped")):
        root.set(key, str(totals.count(status)))
    root.set("tests", str(len(outcomes)))
    ET.indent(root)
    try:
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise UsageError(f"{escape_line(path)} cannot be written: {error.strerror}") from None


def _suite(root: ET.Element, file: str, outcomes: list[Outcome]) -> None:
    suite = ET.SubElement(root, "testsuite", name=escape_line(file), tests=str(len(outcomes)))
    for key, status in (("failures", "failed"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(outcome.status == status for outcome in outcomes)))
    suite.set("time", f"{sum(outcome.seconds for outcome in outcomes):.3f}")
    for outcome in outcomes:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=escape_line(file),
            name=escape_line(outcome.name or "(the file)"),
            file=escape_line(file),
            time=f"{outcome.seconds:.3f}",
        )
        if outcome.failure is not None:
            if outcome.failure.line is not None:
                case.set("line", str(outcome.failure.line))
            message = escape_line(outcome.failure.message)
            found = ET.SubElement(case, _TAGS[outcome.status], message=message)
            found.text = escape("\n".join(about(outcome.failure, Painter(colour=False))))
        elif outcome.status == "skipped":
            ET.SubElement(case, "skipped")
