r"""Tests as data: `*.test.toml`, a table for each run and what is due of it.

spell = ["../hello.lua", "../hello.js"]     each test is run with each of them

[[test]]
name = "greets by name"
params = {name = "Ada"}
answers = ["what models say", {tool = "add", arguments = {a = 1}}, {status = 429}]
fakes = {"http.get" = [{status = 200, body = "ok"}]}
[test.expect]
output = "Hello, Ada!\n"                     also: verdict, value, contains, logs, error, calls
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs
from msgspec.structs import replace

from llmspell_bridges import BridgeError
from llmspell_supervisor import RunReport, Spell, SupervisorError, UsageError
from llmspell_supervisor._policy import MIB
from llmspell_supervisor._toml import Document

from ..recording._file import load
from ..recording._replay import replay as replayed
from ._bridge import RunRequest
from ._trial import Trial, made_calls, output_of, shown_path
from ._types import Failure, Outcome

if TYPE_CHECKING:
    from ..recording._trace import Trace
    from ._trial import Bench

MAX_FILE: Final = 4 * MIB
"""Bytes of one file: recordings of long runs are in some."""


class Expected(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is due of a run. What is left out may be anything."""

    verdict: str | None = None
    """`ok` if neither this nor `error` is there."""
    value: Any = UNSET
    output: str | None = None
    """What it writes to standard output, in full."""
    contains: tuple[str, ...] = ()
    """Parts of its output."""
    logs: tuple[str, ...] | None = None
    """The text of every entry of its console."""
    error: str | None = None
    """Part of the message of what ended it."""
    calls: tuple[str, ...] | None = None
    """The methods that it called, in order."""


class Case(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test."""

    name: str
    skip: bool = False
    params: dict[str, Any] = {}
    env: dict[str, str] = {}
    answers: list[Any] = []
    fakes: dict[str, list[Any]] = {}
    timeout: float | None = None
    clock: float | None = None
    seed: int | None = None
    speed: float = 1.0
    recording: str | None = None
    """A file that `record` wrote: it answers every call, and the run must be the recorded one."""
    expect: Expected = Expected()


class _Cases(Struct, frozen=True, forbid_unknown_fields=True):
    spell: str | tuple[str, ...]
    test: tuple[Case, ...] = ()


class DataTest(Struct, frozen=True, kw_only=True):
    """A test, and the spell that it is run with."""

    name: str
    case: Case
    number: int
    """Its place in the file, from 0."""
    spell: str


class DataFile:
    """The tests of one file."""

    def __init__(self, bench: Bench, path: str) -> None:
        """Read it. Raises `SupervisorError` that names what is wrong."""
        self.path = path
        self.shown = shown_path(path)
        self._bench = bench
        document = Document.load(path, MAX_FILE)
        with open(path, encoding="utf-8") as file:
            self._lines = file.read().split("\n")
        try:
            self._cases = msgspec.convert(document.data, _Cases)
        except msgspec.ValidationError as error:
            text, _, where = str(error).partition(" - at `$")
            place = where.strip(".`")
            raise UsageError(f"{self.shown}: {place + ': ' if place else ''}{text}") from None

    def tests(self) -> list[DataTest]:
        """Every test with every spell."""
        spells = self._cases.spell
        if isinstance(spells, str):
            return [self._test(i, case, spells, "") for i, case in enumerate(self._cases.test)]
        return [
            self._test(i, case, spell, f" ({os.path.basename(spell)})")
            for i, case in enumerate(self._cases.test)
            for spell in spells
        ]

    @staticmethod
    def _test(number: int, case: Case, spell: str, suffix: str) -> DataTest:
        return DataTest(name=case.name + suffix, case=case, number=number, spell=spell)

    async def perform(self, test: DataTest) -> Outcome:
        """Run one test."""
        outcome = Outcome(file=self.shown, name=test.name, status="skipped")
        if test.case.skip:
            return outcome
        began = time.monotonic()
        trial = Trial(self._bench, self.path)
        failure = await self._failure(test, trial)
        status = "failed" if failure else "passed"
        return structs.replace(
            outcome, status=status, seconds=time.monotonic() - began, failure=failure
        )

    async def _failure(self, test: DataTest, trial: Trial) -> Failure | None:
        case = test.case
        if case.recording is not None:
            return await self._replayed(test, trial)
        request = RunRequest(
            params=case.params,
            env=case.env,
            answers=case.answers,
            fakes=case.fakes,
            timeout=case.timeout,
            clock=case.clock,
            seed=case.seed,
            speed=case.speed,
        )
        try:
            spell = Spell.from_path(self._bench.locate(self.path, test.spell))
            report, trace = await trial.cast(spell, request)
        except (SupervisorError, BridgeError) as error:
            return self._failed(test, trial, "name", error.message)
        for key, message, compared in _judge(case.expect, report, trace):
            failure = self._failed(test, trial, key, message)
            if compared is not None:
                expected, actual = compared
                failure = replace(failure, compared=True, expected=expected, actual=actual)
            return failure
        return None

    async def _replayed(self, test: DataTest, trial: Trial) -> Failure | None:
        """Run the spell answered from a recording; the failure is the first difference."""
        try:
            spell = Spell.from_path(self._bench.locate(self.path, test.spell))
            recording = load(self._bench.locate(self.path, test.case.recording or ""))
            _, difference = await replayed(
                self._bench.supervisor, recording, spell, isolation=self._bench.isolation
            )
        except SupervisorError as error:
            return self._failed(test, trial, "recording", str(error))
        if difference is None:
            return None
        failure = self._failed(test, trial, "recording", difference.what)
        if not difference.compared:
            return failure
        return replace(failure, compared=True, expected=difference.recorded, actual=difference.now)

    def _failed(self, test: DataTest, trial: Trial, key: str, message: str) -> Failure:
        line = self._line(test.number, key)
        source = self._lines[line - 1].rstrip() if line else ""
        return Failure(
            message=message, file=self.shown, line=line, source=source, logs=tuple(trial.logs)
        )

    def _line(self, number: int, key: str) -> int | None:
        """The line of a key of a test, or that of its beginning."""
        heads = [
            i for i, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*test\s*\]\]", line)
        ]
        if number >= len(heads):
            return None
        begin = heads[number]
        end = heads[number + 1] if number + 1 < len(heads) else len(self._lines)
        for i in range(begin, end):
            if re.search(rf"(?:^|[\s{{.]){key}\s*=", self._lines[i]):
                return i + 1
        return begin + 1


Unlike = tuple[str, str, tuple[Any, Any] | None]
"""The key of what is not as it is due, in words, and both values where they say something."""


def _judge(due: Expected, report: RunReport, trace: Trace) -> Iterator[Unlike]:
    """What is not as it is due, in the order in which a person wants to know it."""
    yield from _judge_end(due, report)
    output = output_of(report)
    logs = [entry.text for entry in report.logs]
    calls = [call.method for call in made_calls(trace)]
    pairs = {
        "value": ("the run returned another value", due.value, report.value),
        "output": ("the run wrote something else", due.output, output),
        "logs": ("the console has other entries", due.logs, logs),
        "calls": ("the run made other calls", due.calls, calls),
    }
    for key, (message, wanted, found) in pairs.items():
        said = not isinstance(wanted, UnsetType) and (wanted is not None or key == "value")
        if said and not same(wanted, found):
            yield key, message, (wanted, found)
    for part in due.contains:
        if part not in output:
            yield "contains", f"the output does not contain {part!r}", None


def _judge_end(due: Expected, report: RunReport) -> Iterator[Unlike]:
    verdict = due.verdict or (None if due.error is not None else "ok")
    if verdict is not None and report.verdict != verdict:
        yield "verdict", "the run ended otherwise", (verdict, report.verdict)
    if due.error is None:
        return
    if report.problem is None:
        yield "error", "the run ended without an error", (due.error, report.verdict)
    elif due.error not in report.problem.message:
        yield "error", "the run ended with another error", (due.error, report.problem.message)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal; 1 and 1.0 are, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if a in ({}, []) and b in ({}, []):
        return True  # Lua cannot tell the two apart
    return bool(a == b)
