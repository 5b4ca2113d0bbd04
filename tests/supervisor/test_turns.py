"""Shares of the event loop: all of it for one channel alone, a tenth beside others."""

from __future__ import annotations

import time

from llmspell_supervisor._turns import LONGEST, SHARE, SLICE, Turn, Turns


def work(seconds: float) -> None:
    """Use processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_channel_alone_waits_for_nobody() -> None:
    turn = Turn(Turns())
    turn.begin()
    assert not turn.over()
    work(2 * SLICE)
    assert turn.over()
    assert turn.end() == 0.0


def test_a_channel_beside_another_one_waits_until_it_has_had_no_more_than_its_share() -> None:
    turns = Turns()
    turn, other = Turn(turns), Turn(turns)
    for first, second in ((turn, other), (other, turn)):
        first.begin()
        second.begin()
        turn.begin()
        work(2 * SLICE)
        assert turn.over()
        assert turn.end() >= 2 * SLICE / SHARE * 0.5


def test_slices_that_are_not_used_up_add_up() -> None:
    turn = Turn(Turns())
    for _ in range(20):
        turn.begin()
        work(SLICE / 5)
        if turn.over():
            return
    raise AssertionError("twenty fifths of a slice are over four")


def test_one_long_message_costs_more_than_as_much_in_short_ones_but_there_is_a_longest_wait() -> (
    None
):
    turns = Turns()
    turn, other = Turn(turns), Turn(turns)
    waits = []
    for slices in (2, 8, 100):
        turn.begin()
        work(slices * SLICE)
        other.begin()
        assert turn.over()
        waits.append(turn.end())
    short, long, longest = waits
    assert long > 4 * short
    assert longest == LONGEST
