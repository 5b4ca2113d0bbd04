"""The catalogue, the suite, the tests and the docs agree about every attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_harness._attack import Native
from llmspell_harness._catalogue import catalogue
from llmspell_harness._suite import declared
from tests.security.ledger import ID, PAGE, ROOT, citations, page, shown_by, walls

_COUNTS = {"L": 28, "J": 28, "Y": 5, "O": 43, "P": 30, "B": 36}


def test_the_catalogue_has_every_row_of_its_six_classes() -> None:
    ids = [f"{letter}{n:02}" for letter, count in _COUNTS.items() for n in range(1, count + 1)]
    assert sorted(catalogue()) == sorted(ids)


@pytest.mark.parametrize("key", catalogue())
def test_an_attack_is_shown_by_the_suite_unless_what_it_attacks_is_not_there_yet(key: str) -> None:
    entry = catalogue()[key]
    if entry.waits:
        assert entry.needs
        assert key not in shown_by(), f"{key} is in the suite: its status is out of date"
    else:
        assert key in shown_by()


def test_what_is_accepted_says_why() -> None:
    for entry in catalogue().values():
        assert entry.status != "accepted" or entry.note


def test_no_attack_and_no_test_names_an_id_that_the_catalogue_does_not_have() -> None:
    assert shown_by().keys() <= catalogue().keys()
    assert citations().keys() <= catalogue().keys()


@pytest.mark.parametrize("page_path", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_no_page_names_an_id_that_the_catalogue_does_not_have(page_path: Path) -> None:
    assert set(ID.findall(page_path.read_text("utf-8"))) <= catalogue().keys()


def test_every_attack_on_the_operating_system_names_two_walls_at_least() -> None:
    # `holds` are the limits of the run, which count as one: the supervisor's own clock or count.
    few = [
        attack.key
        for attack, _ in declared()
        if isinstance(attack, Native) and len(attack.walls) + bool(attack.holds) < 2
    ]
    assert few == []
    assert walls().keys() <= {key for key in catalogue() if key[0] == "O"}


def test_the_page_is_what_the_suite_and_the_tests_say_today() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `make docs`"
