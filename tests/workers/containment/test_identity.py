"""The user id that a zygote takes, by the ids that there are where it runs."""

from __future__ import annotations

import pytest

from llmspell_workers.containment import _identity as identity

PRIVATE = range(0x7000_0000, 0x7FFF_0000)


def ids(monkeypatch: pytest.MonkeyPatch, uid_map: str, picks: tuple[int, ...]) -> list[int]:
    """What is chosen when the dice show each of `picks`."""
    monkeypatch.setattr(identity, "read_text", lambda _: uid_map)
    found = []
    for pick in picks:
        monkeypatch.setattr(identity, "_pick", lambda count, pick=pick: min(pick, count - 1))
        found.append(identity._unused_id())
    return found


ENDS = (0, 1 << 40)
"""The lowest and the highest that can be picked."""


def test_where_there_are_all_ids_it_is_one_that_nobody_hands_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ids(monkeypatch, "0 0 4294967295\n", ENDS)
    assert found == [PRIVATE[0], PRIVATE[-1]]
    exact = f"{PRIVATE[0]} 0 {len(PRIVATE)}\n"
    assert ids(monkeypatch, exact, ENDS) == [PRIVATE[0], PRIVATE[-1]]


def test_in_a_container_it_is_one_of_the_last_that_is_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ids(monkeypatch, "0 100000 100000\n", ENDS) == [99_999, 99_999 - 4095]
    # Of 65536 ids the last ones are what systems call nobody.
    picks = tuple(range(5))
    assert ids(monkeypatch, "0 100000 65536\n", picks) == [65532, 65531, 65530, 65532, 65531]


def test_of_a_range_that_ends_within_the_private_one_it_is_one_of_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = PRIVATE[0] + 10
    assert ids(monkeypatch, f"0 0 {end}\n", ENDS) == [end - 1, end - 4096]


@pytest.mark.parametrize("uid_map", ["0 1000 1\n", "0 1000 8192\n", ""])
def test_where_there_are_too_few_none_is_taken(
    uid_map: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="maps no spare user id"):
        ids(monkeypatch, uid_map, ENDS)


def test_a_range_that_has_one_id_more_than_is_too_few_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ids(monkeypatch, "0 1000 1\n1 100000 8193\n", ENDS) == [8193, 8193 - 4095]
