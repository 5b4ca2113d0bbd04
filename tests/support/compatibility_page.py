"""Writes `docs/compatibility.md` and `.html` from the cases: `python -m tests.support.compatibility_page`.

The contracts run every case in every language, so that what the table says has been seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from llmspell_testkit import compatibility_page, load_cases
from llmspell_testkit._cases import FOLDER

PAGES: Final = {
    "markdown": Path(__file__).parents[2] / "docs" / "compatibility.md",
    "html": Path(__file__).parents[2] / "docs" / "compatibility.html",
}
INTRO: Final = (
    "What spells can rely on in each language. This page is made by `make docs` from the cases of the"
    " test kit, each of which is run in each language by the tests; another test fails when the page"
    " is not current. An engine of another package is one more column of cases: see docs/testing.md."
)


def page(kind: str) -> str:
    """The whole page, `markdown` or `html`."""
    cases = (*load_cases(), *load_cases(FOLDER / "model.toml"))
    heading = "Languages and features"
    return compatibility_page(
        cases, ("lua", "javascript"), heading=heading, intro=INTRO, format=kind
    )


if __name__ == "__main__":
    for each, path in PAGES.items():
        path.write_text(page(each))
