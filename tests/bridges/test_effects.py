"""What methods do to the world, and what a dry run says and answers in their place."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from llmspell_bridges import (
    Bridge,
    BridgeConfig,
    BridgeError,
    BridgeRegistry,
    CallContext,
    End,
    available,
    load,
    method,
)
from llmspell_bridges._effects import zero
from llmspell_protocol import pack, unpack
from tests.bridges.host import Host


class Colour(enum.Enum):
    RED = "red"


class Inner(msgspec.Struct):
    name: str
    extra: list[int] | msgspec.UnsetType = msgspec.UNSET


class Outer(msgspec.Struct):
    inner: Inner
    items: list[Inner]
    maybe: int | None = None
    kind: Literal["a", "b"] = "b"


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, ""),
        (int, 0),
        (bool, False),
        (float, 0.0),
        (bytes, b""),
        (list[int], []),
        (tuple[int, ...], []),
        (dict[str, int], {}),
        (None, None),
        (Any, None),
        (int | None, None),
        (int | str, 0),
        (Annotated[int, msgspec.Meta(ge=3)], 0),
        (Colour, "red"),
        (Outer, {"inner": {"name": ""}, "items": [], "maybe": None, "kind": "a"}),
    ],
)
def test_the_zero_of_a_type_says_nothing(hint: Any, value: Any) -> None:
    assert zero(hint) == value
    assert type(zero(hint)) is type(value)


class Post(Bridge):
    name: ClassVar[str] = "post"

    @method(effect="send")
    async def send(
        self, ctx: CallContext, to: str, options: dict[str, Any] | None = None, api_key: str = ""
    ) -> Outer:
        """Send a letter."""
        raise AssertionError("a dry run does not call it")

    @method(effect="spend")
    async def speak(self, ctx: CallContext) -> AsyncIterator[str | End[Outer]]:
        """A stream with an end."""
        yield End(Outer(Inner(""), []))

    @method
    async def old(self, ctx: CallContext) -> None:
        """What was declared before there were effects."""


@pytest.fixture
def registry() -> BridgeRegistry:
    return BridgeRegistry([Post(BridgeConfig())])


def planned(registry: BridgeRegistry, name: str, *args: Any) -> tuple[str, str, Any]:
    bound = registry.get(f"post.{name}")
    assert bound is not None
    plan, answer = bound.plan(Host().context, pack(list(args)), ["hidden words"])
    return plan.effect, plan.description, unpack(answer)


def test_a_call_is_listed_by_its_arguments_and_answered_by_the_zero_of_its_result(
    registry: BridgeRegistry,
) -> None:
    assert planned(registry, "send", "me") == (
        "send",
        'post.send(to: "me")',
        {"inner": {"name": ""}, "items": [], "maybe": None, "kind": "a"},
    )
    assert planned(registry, "speak")[2]["kind"] == "a"
    assert planned(registry, "old") == ("unknown", "post.old()", None)


def test_a_description_is_short_one_line_and_shows_no_secret(registry: BridgeRegistry) -> None:
    options = {"password": "p4ss", "n": 3, "deep": {"a": 1}, "many": [1, 2], "data": b"xyz"}
    _, text, _ = planned(registry, "send", "say the hidden words\n" + "x" * 10_000, options, "k3y")
    assert text == (
        'post.send(to: "say the ***\\nxxxxxxxxxxxxxxxxxxxxxxxxxxxx"... (10021 characters),'
        " options: {data: 3 bytes, deep: map of 1, many: list of 2, n: 3, password: ***},"
        " api_key: ***)"
    )
    _, text, _ = planned(registry, "send", "x", {f"name{n}": n for n in range(1000)})
    assert len(text) == 300


def test_arguments_that_do_not_fit_are_an_error_as_for_a_call(registry: BridgeRegistry) -> None:
    with pytest.raises(BridgeError, match="to: expected string"):
        planned(registry, "send", 3)


def test_every_method_of_ours_declares_its_effect() -> None:
    methods = BridgeRegistry(load(name) for name in available()).methods
    assert [m.name for m in methods if m.effect == "unknown"] == []
