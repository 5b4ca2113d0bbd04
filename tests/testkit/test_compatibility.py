"""The table of features is made from the cases, is current, and says no and why."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from llmspell_testkit import compatibility_page, load_cases
from tests.support.compatibility_page import PAGES, page


@pytest.mark.parametrize("kind", PAGES)
def test_the_table_is_that_of_the_cases(kind: str) -> None:
    assert PAGES[kind].read_text() == page(kind), "make docs writes it anew"


def test_every_case_has_a_row_with_a_cell_for_each_language() -> None:
    rows = [line for line in page("markdown").splitlines() if line.startswith("| ")]
    for case in load_cases():
        (row,) = [row for row in rows if row.startswith(f"| {case.name} |")]
        assert row.count("|") == 4
        assert ("differs: " in row) == bool(case.differs)


def test_an_engine_without_a_feature_is_told_apart_from_one_that_differs() -> None:
    case = next(case for case in load_cases() if "lua" in case.differs)
    bare = replace(case, source={"lua": "return 1"}, name="a <b> | c")
    made = {"heading": "H", "intro": "I"}
    text = compatibility_page([bare], ("lua", "other"), **made)
    assert f"| a <b> \\| c | differs: {case.differs['lua'].reason} | no |" in text
    markup = compatibility_page([bare], ("lua", "other"), format="html", **made)
    assert "<td>a &lt;b&gt; | c</td>" in markup
    with pytest.raises(ValueError, match="markdown or html"):
        compatibility_page([bare], ("lua",), format="pdf", **made)
