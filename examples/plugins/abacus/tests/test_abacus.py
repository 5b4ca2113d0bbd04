"""The plugin, held to the contracts of all bridges and engines; and what is true of it alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from llmspell_abacus.bridge import ConvertBridge, ConvertConfig

from llmspell_bridges import Bridge
from llmspell_testkit import BridgeContract, EngineContract, Example, Stage, run_without_worker
from llmspell_testkit.contracts import EngineUnderTest

COLUMN = Path(__file__).parent / "abacus.toml"
UNIT = {"name": "m", "kind": "length"}


class TestTheBridge(BridgeContract):
    examples = (
        Example("to", (1, "in", "cm"), 2.54),
        Example("to", (26.2188, "mi", "km"), 42.1950684672),
        Example("to", (0, "h", "s"), 0.0),
        Example("to", (1, "mi", "kg"), error="Validation", field="target"),
        Example("to", (1, "parsec", "km"), error="Validation", field="unit"),
        Example("to", ("1", "mi", "km"), error="Validation", field="value"),
    )

    @pytest.fixture
    def bridge(self) -> Bridge:
        return ConvertBridge(ConvertConfig())


class TestTheEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> EngineUnderTest:
        return EngineUnderTest.from_column(COLUMN)


def test_the_config_sets_how_many_digits_an_answer_has() -> None:
    bridge = ConvertBridge(ConvertConfig(digits=3))
    assert run_without_worker(bridge, "convert.to", 1, "mi", "km") == 1.61
    assert run_without_worker(bridge, "convert.units")[0] == UNIT


def test_a_spell_reckons_with_its_bridge(llmspell_stage: Stage) -> None:
    source = 'distance = convert.to(26.2188, "mi", "km")\nround(distance * pace, 1)'
    grants = ("convert",)
    found = llmspell_stage.run(source, "abacus", params={"pace": 5.5}, allow_bridges=grants)
    assert found.value == 232.1, found.problem


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("1\n1 / 0", 2, "division by zero"),
        ("().__class__", 1, "no such thing here: ().__class__"),
        ('1\nconvert.to(1, "mi", "kg")', 2, "mi becomes one of m, km"),
        ('llm.complete("hello")', 1, "no such function: llm.complete"),
    ],
)
def test_its_own_errors_say_the_line(
    llmspell_stage: Stage, source: str, line: int, message: str
) -> None:
    report = llmspell_stage.run(source, "abacus", allow_bridges=("convert",))
    assert report.problem is not None
    assert (report.verdict, report.problem.line) == ("script_error", line)
    assert message in report.problem.message
