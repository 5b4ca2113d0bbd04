"""Runs a case, and holds what came of it against what is expected, and engines against each other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from llmspell_supervisor import Problem, RunReport

from ._cases import Case, Expected, ExpectedError
from ._stage import Stage
from .model_server import Answer

LANGUAGES = ("lua", "javascript")


class Outcome(Struct, frozen=True):
    """What came of a run, in a form that can be compared."""

    verdict: str
    value: str
    error: ExpectedError | None
    hint: str
    logs: tuple[str, ...]
    calls: Mapping[str, int]


def perform(stage: Stage, case: Case, engine: str) -> Outcome:
    """Run a case in one engine. Raises `AssertionError` if it has no source in that language."""
    source = case.source.get(engine)
    assert source is not None, f"'{case.name}' is not written in {engine}"
    asked = _script(stage, case)
    policy = case.granted()
    if case.answers and "allow_bridges" not in policy:
        policy["allow_bridges"] = ("llm", *stage.policy().allow_bridges)
    found = outcome_of(stage.run(source, engine, params=case.params, **policy))
    if stage.model is not None:
        assert len(stage.model.requests) - asked == len(case.answers), "not each answer was used"
    return found


def _script(stage: Stage, case: Case) -> int:
    """Let the model say what the case wants; returns how often it was asked so far."""
    if stage.model is None:
        assert not case.answers, f"'{case.name}' needs a model: use IntegrationContract"
        return 0
    stage.model.forget()
    stage.model.script(stage.MODEL, *map(Answer, case.answers))
    return len(stage.model.requests)


def outcome_of(report: RunReport) -> Outcome:
    """The part of a report that cases speak of."""
    return Outcome(
        verdict=report.verdict,
        value=exact(report.value),
        error=_error(report.problem),
        hint=report.problem.hint if report.problem else "",
        logs=tuple(f"{entry.level}: {entry.text}" for entry in report.logs),
        calls=report.usage.calls,
    )


def _error(problem: Problem | None) -> ExpectedError | None:
    if problem is None:
        return None
    error = problem.error
    if error is None:  # a limit: its message is the supervisor's
        return ExpectedError(message=problem.message)
    return ExpectedError(
        message=error.message,
        kind=error.kind,
        line=problem.line,
        retryable=error.retryable,
        retry_after=error.retry_after,
        field=error.field,
        duration=error.duration,
    )


def assert_expected(found: Outcome, expected: Expected) -> None:
    """Raise `AssertionError` for the first thing that is not as expected."""
    assert found.verdict == expected.verdict, found
    assert like(found.error, expected.error), (found.error, expected.error)
    assert found.value == exact(expected.value)
    assert expected.hint in found.hint
    assert found.logs == expected.logs
    if expected.calls is not None:
        assert dict(found.calls) == dict(expected.calls)


def assert_same_everywhere(
    case: Case, stage: Stage, engines: Iterable[str] = LANGUAGES
) -> dict[str, Outcome]:
    """Run a case in each engine: each must meet what is expected, and all must come to the same.

    Engines of which the case says that they differ are held against the case only. Returns what came
    of each.
    """
    outcomes = {engine: perform(stage, case, engine) for engine in engines}
    for engine, found in outcomes.items():
        assert_expected(found, case.expected(engine))
    alike = {e: _comparable(o) for e, o in outcomes.items() if e not in case.differs}
    first = next(iter(alike.values()), None)
    assert all(other == first for other in alike.values()), alike
    return outcomes


def _comparable(outcome: Outcome) -> Outcome:
    """Without the message, which is compared by pattern: it may hold a time or a port."""
    error = outcome.error and msgspec.structs.replace(outcome.error, message="")
    return msgspec.structs.replace(outcome, error=error)


def like(found: ExpectedError | None, expected: ExpectedError | None) -> bool:
    """Whether an error is as expected, where `*` in the message stands for anything."""
    if found is None or expected is None:
        return found is expected
    pattern = ".*".join(map(re.escape, expected.message.split("*")))
    said = re.fullmatch(pattern, found.message, re.DOTALL) is not None
    return said and msgspec.structs.replace(found, message=expected.message) == expected


def exact(value: Any) -> str:
    """A value as text that tells types and signs apart and does not depend on the order of keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {exact(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(exact, value)) + "]"
    assert not isinstance(value, float) or math.isfinite(value)
    return repr(value)
