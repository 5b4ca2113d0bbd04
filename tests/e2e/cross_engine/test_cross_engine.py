"""The table: each case is run in both languages, through a real supervisor, in locked workers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator

import pytest

from llmspell_testkit import exact
from tests.e2e.cross_engine import (
    agents,
    console,
    errors,
    files,
    functions,
    json_library,
    libraries,
    limits,
    llm_calls,
    llm_errors,
    math_library,
    mcp_servers,
    memory_bridge,
    notify_bridge,
    rag_bridge,
    sources,
    sql_bridge,
    storage_bridge,
    streams,
    tools,
    util_library,
    values_in,
    values_out,
    vector_bridge,
    web,
    workflow_errors,
    workflows,
    world,
    wrong_types,
)
from tests.e2e.cross_engine.case import Case, Failed
from tests.e2e.cross_engine.stage import LANGUAGES, Outcome, Stage, open_stage

THEMES = (
    values_out,
    values_in,
    errors,
    sources,
    console,
    json_library,
    util_library,
    math_library,
    world,
    streams,
    functions,
    llm_calls,
    llm_errors,
    tools,
    mcp_servers,
    agents,
    limits,
    workflows,
    workflow_errors,
    files,
    web,
    sql_bridge,
    memory_bridge,
    vector_bridge,
    rag_bridge,
    notify_bridge,
    storage_bridge,
    libraries,
    wrong_types,
)
TABLE = [
    pytest.param(case, id=f"{theme.__name__.rpartition('.')[2]}: {case.name}")
    for theme in THEMES
    for case in theme.CASES
]
NEVER_FAIL = {"llm.agent.tools", "llm.agent.validate", "llm.conversation.messages", "llm.models"}
"""Methods that nothing but a wrong argument makes fail: they tell what is known, or what is wrong."""
LEAST = 180
MOST_THAT_DIFFER = 0.15
"""Share of the table. Languages are not the same, but a table of exceptions would be no table."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage() as opened:
        yield opened


@pytest.mark.parametrize("case", TABLE)
def test_both_languages_do_the_same(case: Case, stage: Stage) -> None:
    outcomes = stage.run(case)
    for language, outcome in outcomes.items():
        expected = case.expected(language)
        assert outcome.verdict == expected.verdict, (language, outcome)
        assert like(outcome.failed, expected.failed), (language, outcome.failed)
        assert outcome.value == exact(expected.value), language
        assert outcome.logs == expected.logs, language
        assert len(outcome.requests) == len(expected.answers), (language, outcome.requests)
    if case.differs is None:
        lua, javascript = map(_comparable, outcomes.values())
        assert lua == javascript


def _comparable(outcome: Outcome) -> Outcome:
    """Without the message, which is compared by pattern: it may hold a time or a port."""
    failed = outcome.failed and dataclasses.replace(outcome.failed, message="")
    return dataclasses.replace(outcome, failed=failed)


def like(found: Failed | None, expected: Failed | None) -> bool:
    """Whether an error is as expected, where `*` in the message stands for anything."""
    if found is None or expected is None:
        return found is expected
    pattern = ".*".join(map(re.escape, expected.message.split("*")))
    said = re.fullmatch(pattern, found.message, re.DOTALL) is not None
    return said and dataclasses.replace(found, message=expected.message) == expected


def test_each_method_succeeds_fails_and_refuses_a_wrong_type_in_both_languages(
    stage: Stage,
) -> None:
    """Read from the audit log of the whole table; a part of it shows nothing."""
    wrong = {
        hashlib.sha256(case.source(language).encode()).hexdigest()
        for case in wrong_types.CASES
        for language in LANGUAGES
    }
    begun: dict[str, tuple[str, bool]] = {}
    shown: set[tuple[str, str, str]] = set()
    for line in stage.log.read_text().splitlines():
        record = json.loads(line)
        if record["type"] == "begin":
            begun[record["run"]] = record["engine"], record["sha256"] in wrong
        elif record["type"] == "call" and not record["nested"]:
            engine, is_wrong = begun[record["run"]]
            outcome = "wrong type" if is_wrong else "success"
            if record["outcome"] != "ok" and not is_wrong:
                outcome = "failure"
            if not is_wrong or record["outcome"] == "Validation":
                shown.add((engine, record["method"], outcome))
    if len(begun) < len(TABLE) * len(LANGUAGES):
        pytest.skip("only a part of the table was run")
    wanted = {
        (engine, method.name, outcome)
        for engine in LANGUAGES
        for method in wrong_types.METHODS
        for outcome in ("success", "failure", "wrong type")
        if outcome != "failure" or method.name not in NEVER_FAIL
    }
    assert sorted(wanted - shown) == []
    assert {method for _, method, outcome in shown if outcome == "failure"}.isdisjoint(NEVER_FAIL)


def test_the_table_is_as_large_as_promised_and_its_names_are_unique() -> None:
    cases = [case for theme in THEMES for case in theme.CASES]
    assert len(cases) >= LEAST
    assert len({param.id for param in TABLE}) == len(TABLE)


def test_few_cases_differ_and_each_says_why() -> None:
    differing = [case for theme in THEMES for case in theme.CASES if case.differs]
    assert len(differing) <= MOST_THAT_DIFFER * len(TABLE)
    assert all(case.differs and case.differs.reason for case in differing)
