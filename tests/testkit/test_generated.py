"""Generated values and programs come to the same in both languages. `make crosscheck` tries more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell_testkit import Stage, exact, programs, values
from llmspell_testkit.strategies import LANGUAGES, Program, as_seen_by, run_programs, run_values

# The same examples each time: what is new, `make crosscheck` finds.
settled = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,  # programs are; few are left out
    ],
)


@settings(settled, max_examples=15)
@given(st.lists(programs(), min_size=10, max_size=10))
def test_a_program_is_worth_the_same_in_both_languages(
    llmspell_stage: Stage, batch: list[Program]
) -> None:
    lua, javascript = (run_programs(llmspell_stage, batch, language) for language in LANGUAGES)
    assert list(map(exact, lua)) == list(map(exact, javascript))


@pytest.mark.parametrize("language", LANGUAGES)
@settings(settled, max_examples=15)
@given(st.lists(values(), min_size=10, max_size=10))
def test_a_value_comes_back_as_the_rules_say(
    llmspell_echo: Stage, language: str, batch: list[Any]
) -> None:
    expected = exact(as_seen_by(language, batch))
    called, returned = run_values(llmspell_echo, batch, language)
    assert exact(called) == expected
    assert exact(returned) == expected
