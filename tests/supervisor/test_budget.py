"""The budget of a run: reserved before, settled after, never overdrawn together."""

from __future__ import annotations

import pytest

from llmspell_bridges import BudgetExceeded
from llmspell_supervisor import Policy, Usage
from llmspell_supervisor._budget import ENTRY_BURST, ENTRY_COST, ENTRY_RATE, EntryRate, RunBudget


def budget(**policy: float) -> tuple[RunBudget, Usage]:
    usage = Usage()
    return RunBudget(Policy(**policy), usage), usage  # type: ignore[arg-type]


def test_what_is_reserved_is_not_there_for_another_call() -> None:
    subject, _ = budget(max_tokens=100, max_cost=1.0)
    subject.reserve(tokens=60, cost=0.5)
    assert (subject.tokens_left, subject.cost_left) == (40, 0.5)
    with pytest.raises(BudgetExceeded) as caught:
        subject.reserve(tokens=41)
    assert (caught.value.what, caught.value.asked, caught.value.left) == ("tokens", 41, 40)
    with pytest.raises(BudgetExceeded):
        subject.reserve(cost=0.51)
    assert (subject.tokens_left, subject.cost_left) == (40, 0.5)


def test_a_settled_call_gives_back_what_it_did_not_use() -> None:
    subject, usage = budget(max_tokens=100, max_cost=1.0)
    subject.reserve(tokens=60, cost=0.5).settle(prompt_tokens=7, completion_tokens=3, cost=0.25)
    assert (subject.tokens_left, subject.cost_left) == (90, 0.75)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost) == (7, 3, 0.25)


def test_a_call_that_used_more_than_there_was_is_booked_and_ends_the_run() -> None:
    subject, usage = budget(max_tokens=10)
    with pytest.raises(BudgetExceeded):
        subject.reserve(tokens=10).settle(prompt_tokens=11)
    assert usage.prompt_tokens == 11
    with pytest.raises(BudgetExceeded):
        subject.reserve(tokens=1)


def test_the_whole_of_a_budget_may_be_used_and_what_is_over_it_is_named() -> None:
    subject, _ = budget(max_tokens=10, max_cost=1.0)
    subject.reserve(tokens=10, cost=1.0).settle(prompt_tokens=4, completion_tokens=6, cost=1.0)
    assert (subject.tokens_left, subject.cost_left) == (0, 0.0)
    with pytest.raises(BudgetExceeded) as caught:
        subject.reserve().settle(prompt_tokens=3, completion_tokens=5)
    assert (caught.value.what, caught.value.asked, caught.value.left) == ("tokens", 8, 0)


def test_money_that_was_spent_beyond_a_budget_is_named() -> None:
    subject, _ = budget(max_cost=1.0)
    with pytest.raises(BudgetExceeded) as caught:
        subject.reserve(cost=1.0).settle(cost=1.5)
    assert (caught.value.what, caught.value.asked, caught.value.left) == ("cost", 1.5, 0)


def test_amounts_go_by_name_alone() -> None:
    subject, _ = budget()
    with pytest.raises(TypeError):
        subject.reserve(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        subject.reserve().settle(1)  # type: ignore[call-arg]


def test_console_entries_have_the_cost_and_the_rate_that_are_documented() -> None:
    assert (ENTRY_COST, ENTRY_BURST, ENTRY_RATE) == (16, 10_000, 1000)


def test_a_failed_call_gives_all_of_it_back() -> None:
    subject, usage = budget(max_tokens=10)
    subject.reserve(tokens=10).settle()
    assert subject.tokens_left == 10
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost) == (0, 0, 0.0)


def test_a_reservation_is_settled_once() -> None:
    subject, _ = budget(max_tokens=10)
    reservation = subject.reserve(tokens=10)
    reservation.settle()
    with pytest.raises(RuntimeError, match="settled once"):
        reservation.settle()
    assert subject.tokens_left == 10


def test_calls_are_counted_by_method_and_one_too_many_is_not_counted() -> None:
    subject, usage = budget(max_calls=4)
    names = ("a.b", "a.c", "a.b", "a.b", "a.c")
    assert [subject.count_call(name) for name in names] == [True, True, True, True, False]
    assert usage.calls == {"a.b": 3, "a.c": 1}


def test_output_that_does_not_fit_is_not_counted() -> None:
    subject, usage = budget(max_output=10)
    assert [subject.count_output(size) for size in (6, 5, 4, 1)] == [True, False, True, False]
    assert usage.output == 10


def test_entries_pass_in_a_burst_and_then_at_a_rate_and_the_others_are_counted() -> None:
    rate = EntryRate()
    assert all(rate.admits(0.0) for _ in range(ENTRY_BURST))
    assert not any(rate.admits(0.0) for _ in range(5))
    assert sum(rate.admits(0.5) for _ in range(ENTRY_RATE)) == ENTRY_RATE // 2
    assert rate.suppressed() == 5 + ENTRY_RATE - ENTRY_RATE // 2
    assert rate.suppressed() == 0


def test_a_long_silence_saves_up_no_more_than_one_burst() -> None:
    rate = EntryRate()
    assert sum(rate.admits(1e6) for _ in range(2 * ENTRY_BURST)) == ENTRY_BURST
