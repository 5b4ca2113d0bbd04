"""Runs the tests of files that are spells: collects them, then each in a worker of its own."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from llmspell_supervisor import Policy, Problem, RunReport, Spell, SupervisorError

from ._overlay import staged
from ._trial import Trial, shown_path
from ._types import Failure, Outcome, Test, TestFile
from ._wrap import unwrap, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._snapshots import Snapshots
    from ._trial import Bench

SCRIPT: Final = "llmspell_testkit.spells:testing"
"""The script in which tests are written; see `_wrap`."""
GRANTS: Final = ("testkit",)
"""What a test itself may call: the spells that it runs have a policy of their own."""


class Runner:
    """Runs tests on a bench."""

    def __init__(self, bench: Bench, policy: Policy) -> None:
        """`policy` gives the limits of each test."""
        self._bench = bench
        self._policy = replace(policy, allow_bridges=GRANTS, allow_env=(), libraries=())

    async def collect(self, path: str) -> tuple[TestFile | None, list[Test] | Outcome]:
        """The tests that a file declares, or why it cannot be read."""
        shown = shown_path(path)
        try:
            file = TestFile(path=path, shown=shown, spell=Spell.from_path(path))
        except SupervisorError as error:
            failure = Failure(message=error.message, hint=error.hint, file=shown)
            return None, Outcome(file=shown, name="", status="error", failure=failure)
        trial = Trial(self._bench, path)
        report = await self._run(file, trial, {"mode": "collect"})
        if not report.ok:
            failed = await self._unreadable(file, report, trial)
            return file, Outcome(file=shown, name="", status="error", failure=failed)
        return file, [
            Test(name=each.name, index=i, line=_line(each.place, file.spell), skipped=each.skipped)
            for i, each in enumerate(trial.declared, 1)
        ]

    async def perform(self, file: TestFile, test: Test, snapshots: Snapshots) -> Outcome:
        """Run one test."""
        outcome = Outcome(file=file.shown, name=test.name, status="skipped")
        if test.skipped:
            return outcome
        began = time.monotonic()
        trial = Trial(self._bench, file.path, snapshots)
        setup = {"mode": "run", "index": test.index, "name": test.name}
        report = await self._run(file, trial, setup)
        outcome = replace(outcome, seconds=time.monotonic() - began)
        if report.ok:
            return replace(outcome, status="passed")
        return replace(outcome, status="failed", failure=_failure(file, report, trial, test))

    async def _run(self, file: TestFile, trial: Trial, setup: Mapping[str, object]) -> RunReport:
        spell = staged(wrap(file.spell, SCRIPT, setup), trial.stage)
        report = await self._bench.supervisor.run(spell, policy=self._policy)
        return unwrap(report, file.spell, SCRIPT, setup)

    async def _unreadable(self, file: TestFile, report: RunReport, trial: Trial) -> Failure:
        """What is wrong with a file, in the words for its own text if it does not parse."""
        isolation = self._policy.isolation
        problem = await self._bench.supervisor.validate(file.spell, isolation=isolation)
        if problem is not None:
            problem = replace(problem, hint="no test of the file was run")
            report = replace(report, problem=problem, verdict="script_error")
        return _failure(file, report, trial, None)


def _failure(file: TestFile, report: RunReport, trial: Trial, test: Test | None) -> Failure:
    problem = report.problem or Problem(message=report.verdict)
    message = problem.message
    if report.verdict != "script_error":
        message = f"{report.verdict}: {message}"
    line = problem.line or (test.line if test else None)
    failure = Failure(
        message=message,
        hint=problem.hint,
        file=file.shown,
        line=line,
        column=problem.column,
        source=_source(file.spell, line),
        logs=tuple(trial.logs),
    )
    failed = trial.failed
    if failed is None or failed.message != problem.message or not failed.compared:
        return failure
    return replace(failure, compared=True, expected=failed.expected, actual=failed.actual)


def _source(spell: Spell, line: int | None) -> str:
    lines = spell.source.split("\n")
    return lines[line - 1].rstrip() if line is not None and 1 <= line <= len(lines) else ""


def _line(place: str, spell: Spell) -> int | None:
    """The first line of the file in a stack."""
    found = re.search(rf"{re.escape(spell.name)}:(\d+)", place)
    return int(found[1]) if found else None
