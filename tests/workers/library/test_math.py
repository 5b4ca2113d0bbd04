"""`math` of scripts: the reference here, and each engine's own against it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from llmspell_protocol import pack
from llmspell_workers.library import LIBRARY, call_library
from tests.workers.support.host import run_engine

NUMBERS = [0, 1, -1, 0.5, -0.5, 2.5, -2.5, 1e15 + 0.5, 0.49999999999999994, 2**53, 1e300, 7]
LISTS = [[], [1], [3, 1, 2], [4, 1, 2, 3], [0.1, 0.2, 0.3], [1e300, 1, -1e300]]

CASES: list[tuple[str, list[Any]]] = [
    *(("pow", [a, b]) for a in (2, 0, -2, 0.5, 1e200) for b in (0, 3, -1, 0.5, 2)),
    *(("clamp", [a, -1, 1.5]) for a in NUMBERS),
    *((name, [a]) for name in ("round", "trunc", "sign") for a in NUMBERS),
    *(("lerp", [a, 10, t]) for a in (0, -10.5) for t in (0, 0.25, 1)),
    *((name, [values]) for name in ("sum", "mean", "median") for values in LISTS),
]


def reference(name: str, arguments: list[Any]) -> Any:
    value: Any = unpack_any(call_library(f"math.{name}", pack(arguments)))
    return value


def unpack_any(data: bytes) -> Any:
    # NaN and infinities are results here, though they may not cross.

    return msgspec.msgpack.decode(data)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("pow", [2, 10], 1024),
        ("pow", [0, -1], math.inf),
        ("pow", [1e200, 2], math.inf),
        ("round", [0.5], 1),
        ("round", [-0.5], -1),
        ("round", [2.4], 2),
        ("clamp", [5, 0, 3], 3),
        ("trunc", [-1.9], -1),
        ("median", [[]], 0),
        ("mean", [[1, 2]], 1.5),
    ],
)
def test_the_reference_is_right(name: str, arguments: list[Any], expected: Any) -> None:
    value = reference(name, arguments)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("engine", ["lua"])
def test_an_engines_own_functions_give_the_results_of_the_reference(engine: str) -> None:
    source = """
    local results = {}
    for i, case in ipairs(params.cases) do
      local value = math[case[1]](table.unpack(case[2]))
      local finite = value - value == 0
      results[i] = finite and value or tostring(value):gsub("-", "")
    end
    return results
    """
    outcome = run_engine(engine, source, params={"cases": [list(case) for case in CASES]})
    assert outcome.failure is None, outcome.failure
    for (name, arguments), value in zip(CASES, outcome.value, strict=True):
        expected = reference(name, arguments)
        if not math.isfinite(expected):
            expected = "nan" if math.isnan(expected) else "inf"
        assert (value, type(value)) == (expected, type(expected)), (name, arguments)


def test_each_function_is_tested() -> None:
    assert {name for name, _ in CASES} == set(LIBRARY["math"])
