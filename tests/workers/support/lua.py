"""Running Lua in a locked worker, and what came of it."""

from __future__ import annotations

from typing import Any

from llmspell_protocol import Failure
from tests.workers.support.host import Outcome, run_engine


def lua(source: str, **options: Any) -> Outcome:
    return run_engine("lua", source, locked=True, **options)


def value_of(source: str, **options: Any) -> Any:
    outcome = lua(source, **options)
    assert outcome.failure is None, outcome.failure
    return outcome.value


def failure_of(source: str, **options: Any) -> Failure:
    failure = lua(source, **options).failure
    assert failure is not None
    return failure
