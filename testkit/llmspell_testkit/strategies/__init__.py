"""Generated values and programs, for tests that hold in every language.

@given(values())
def test_it_comes_back(value): ...

@given(programs())
def test_it_means_the_same(program):
    assert run_programs(stage, [program], "lua") == run_programs(stage, [program], "javascript")
"""

from __future__ import annotations

from ._programs import programs
from ._rendering import LANGUAGES, render, run_programs
from ._tree import Program
from ._values import as_seen_by, run_values, values

__all__ = [
    "LANGUAGES",
    "Program",
    "as_seen_by",
    "programs",
    "render",
    "run_programs",
    "run_values",
    "values",
]
