"""The contracts can fail: bridges and findings that are wrong are told, each by its own test."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, method
from llmspell_testkit import BridgeContract, Example
from llmspell_testkit.contracts._findings import Findings
from llmspell_testkit.contracts._samples import NoSample, sample, wrong_values

CONTRACT = BridgeContract()


class Wrong(Bridge):
    """What a bridge should not be."""

    name: ClassVar[str] = "wrong"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.last = ""

    @method
    async def undescribed(self, ctx: CallContext) -> int:
        return 1

    @method
    async def mixed_up(self, ctx: CallContext, text: str) -> str:
        """Answers whoever asked last."""
        self.last = text
        await asyncio.sleep(0)
        return self.last

    @method
    async def mute(self, ctx: CallContext) -> None:
        """Fails without a word about itself."""
        raise BridgeError("Network", "it did not work")

    @method
    async def lying(self, ctx: CallContext) -> int:
        """Says that it gives a number."""
        return "text"  # type: ignore[return-value]


def examples_fail(*examples: Example) -> str:
    with pytest.raises(AssertionError) as caught:
        CONTRACT.test_the_examples_come_true(Wrong(), examples)
    return str(caught.value)


def test_a_method_without_a_description_is_told() -> None:
    with pytest.raises(AssertionError, match=r"wrong\.undescribed: the first paragraph"):
        CONTRACT.test_every_method_is_described(Wrong())


def test_answers_that_are_mixed_up_are_told() -> None:
    examples = [Example("mixed_up", (each,), each) for each in ("a", "b")]
    CONTRACT.test_the_examples_come_true(Wrong(), examples)
    with pytest.raises(AssertionError):
        CONTRACT.test_calls_that_are_open_at_once_get_each_their_own_answer(Wrong(), examples)


def test_an_error_that_does_not_say_what_it_is_of_is_told() -> None:
    said = examples_fail(Example("mute", error="Network"))
    assert "begins with what it is about" in said


def test_an_answer_of_another_type_than_declared_is_told() -> None:
    assert "lying" in examples_fail(Example("lying", (), "text"))


@pytest.mark.parametrize(
    "example",
    [
        Example("undescribed", (), 2),
        Example("undescribed", (), 1.0),
        Example("undescribed", (), error="Network"),
        Example("mute", error="Provider"),
        Example("mute", error="Network", field="x"),
        Example("mute", (), 1),
    ],
)
def test_an_example_that_does_not_come_true_is_told(example: Example) -> None:
    assert example.method in examples_fail(example)


def test_an_example_of_a_method_that_there_is_not_is_told() -> None:
    assert "wrong.nothing, which there is not" in examples_fail(Example("nothing"))


def test_all_findings_are_told_together_and_a_bug_is_no_finding() -> None:
    with pytest.raises(AssertionError) as caught, Findings() as findings:
        for number in range(30):
            with findings.about(f"check {number}"):
                assert number % 2, f"{number} is even"
    lines = str(caught.value).strip().splitlines()
    assert lines[0] == "check 0: 0 is even"
    assert len(lines) == 15
    with pytest.raises(KeyError), Findings() as findings, findings.about("a bug"):
        raise KeyError("x")


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """Options."""

    count: int
    name: str = ""


@pytest.mark.parametrize(
    ("hint", "wrong"),
    [
        (int, [None, True, 1.5, "text", b"", [], {}]),
        (float, [None, True, "text", b"", [], {}]),
        (str | None, [True, 1, 1.5, b"", [], {}]),
        (bytes, [None, True, 1, 1.5, [], {}]),
        (list[int], [None, True, 1, 1.5, "text", b"", {}]),
        (Options, [None, True, 1, 1.5, "text", b"", []]),
        (dict[str, int] | bool, [None, 1, 1.5, "text", b"", []]),
        (Any, []),
    ],
)
def test_a_type_is_tried_with_a_value_of_every_kind_that_it_does_not_take(
    hint: Any, wrong: list[Any]
) -> None:
    assert [type(value) for value in wrong_values(hint)] == [type(value) for value in wrong]


def test_samples_are_taken_by_their_type() -> None:
    assert sample(Options) == {"count": 1}
    assert sample(list[Options]) == [{"count": 1}]
    with pytest.raises(NoSample):
        sample(Annotated[str, msgspec.Meta(min_length=500)])
