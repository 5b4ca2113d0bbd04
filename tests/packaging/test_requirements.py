"""The table of requirements names what exists, and forgets none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("protocol", "workers", "bridges", "supervisor", "harness", "testkit")
WANTED = "S001-S005 S007-S013 S016-S183 S187-S189 S192-S205 S209-S209"
"""What is promised so far, first and last id of each group."""

TEXT = (ROOT / "docs/requirements.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| S")
]
MET = [row for row in ROWS if len(row) == 4]


def wanted() -> list[str]:
    found = []
    for group in WANTED.split():
        first, last = (int(name.removeprefix("S")) for name in group.split("-"))
        found += [f"S{number:03}" for number in range(first, last + 1)]
    return found


def exists(module: str) -> bool:
    """Whether a dotted name is a module or a package of ours."""
    path = module.replace(".", "/")
    places = [ROOT / source / path for source in SOURCES]
    return any(p.with_suffix(".py").is_file() or (p / "__init__.py").is_file() for p in places)


def test_each_requirement_has_one_row_in_order() -> None:
    assert [row[0] for row in ROWS if row in MET] == sorted(row[0] for row in MET)
    assert sorted(row[0] for row in ROWS) == wanted()


@pytest.mark.parametrize("row", MET, ids=lambda row: row[0])
def test_what_a_row_names_exists(row: list[str]) -> None:
    for name in re.findall(r"`([^`]+)`", row[2]):
        if name.startswith("llmspell_"):
            assert exists(name), name
        elif "/" in name:
            assert (ROOT / name).exists(), name
    cited = row[3].split(", ")
    assert cited
    for test in cited:
        path, _, name = test.partition("::")
        source = (ROOT / "tests" / path).read_text()
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), test
