"""Spells are compared in one run, by the ratio of what they take."""

from __future__ import annotations

import pytest

from llmspell_testkit import (
    Speed,
    Stage,
    assert_no_slower,
    load_cases,
    measure,
    measure_case,
)

LOOP = "local n = 0 for i = 1, {} do n = n + i end return n"


def test_a_spell_that_does_a_hundred_times_as_much_is_told_apart(llmspell_stage: Stage) -> None:
    spells = {"short": (LOOP.format(100_000), "lua"), "long": (LOOP.format(10_000_000), "lua")}
    speeds = measure(llmspell_stage, spells, rounds=3)
    assert [len(speed.runs) for speed in speeds.values()] == [3, 3]
    assert_no_slower(speeds, "short", than="long", ratio=1)
    with pytest.raises(AssertionError, match=r"long takes .* times as long as short"):
        assert_no_slower(speeds, "long", than="short", ratio=2)


def test_a_case_is_compared_in_each_of_its_languages(llmspell_echo: Stage) -> None:
    case = next(case for case in load_cases() if case.name == "a hundred calls")
    speeds = measure_case(llmspell_echo, case, rounds=1)
    assert speeds.keys() == {"lua", "javascript"}


def test_a_spell_that_fails_is_not_measured(llmspell_stage: Stage) -> None:
    with pytest.raises(AssertionError, match="broken"):
        measure(llmspell_stage, {"broken": ("error('no')", "lua")})


def test_the_ratio_is_that_of_the_medians() -> None:
    speeds = {"a": Speed(0.010, ()), "b": Speed(0.020, ())}
    assert_no_slower(speeds, "b", than="a", ratio=2)
    with pytest.raises(AssertionError, match=r"b takes 20\.0 ms, 2\.0 times as long as a"):
        assert_no_slower(speeds, "b", than="a", ratio=1.9)
