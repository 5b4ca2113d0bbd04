"""The reference of all methods is made from the declarations, and is current."""

from __future__ import annotations

import re

from llmspell_bridges import BridgeRegistry, load
from llmspell_bridges._catalogue import _OURS
from tests.support.reference_page import PAGE, page


def test_the_reference_is_that_of_the_declarations() -> None:
    assert PAGE.read_text() == page(), "make docs writes it anew"


def test_every_method_and_option_is_in_the_reference_in_both_languages() -> None:
    text = page()
    for method in BridgeRegistry(load(name) for name in _OURS).methods:
        section = text.partition(f"### `{method.name}`\n")[2].partition("\n### ")[0]
        assert section, method.name
        lua, javascript = re.findall(r"```(?:lua|js)\n(.*?)\n```", section)
        assert f"{method.name}(" in lua
        assert re.sub(r"_([a-z])", lambda m: m[1].upper(), method.name) + "(" in javascript
        for parameter in method.describe().parameters:
            assert f"| `{parameter.name}` |" in section
            for option in parameter.options:
                assert f"| `{parameter.name}.{option.name}` |" in section


def test_links_of_the_contents_lead_to_headings() -> None:
    text = page()
    headings = {
        re.sub(r"[`.]", "", h).replace(" ", "-").lower() for h in re.findall("(?m)^#+ (.*)$", text)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings
