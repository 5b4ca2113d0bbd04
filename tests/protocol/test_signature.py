"""From a typed function to a method: names, documentation, and what a wrong argument is told."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from llmspell_protocol import ArgumentError, Parameter, Signature, pack, type_name

if TYPE_CHECKING:
    from decimal import Context as CallContext


NULL = msgspec.Raw(b"\xc0")


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Message(Struct, forbid_unknown_fields=True):
    role: Literal["system", "user"]
    content: str = ""
    weight: Annotated[int, Meta(ge=1)] = 1


class Schema(Struct, forbid_unknown_fields=True, tag="schema"):
    body: dict[str, Any]


class Grammar(Struct, forbid_unknown_fields=True, tag="grammar"):
    text: str


class Request(Struct, forbid_unknown_fields=True):
    messages: list[Message]
    max_tokens: Annotated[int, Meta(description="how many at most")] = 100
    extra: dict[str, Message] = {}
    seed: int | str | None = None
    first: Message | None = None
    shape: Schema | Grammar | None = None
    level: Level | None = None
    top_p: float | UnsetType = UNSET
    pair: tuple[int, int] | None = None
    headers: dict[str, str] = {}


class Bridge:
    async def complete(
        self,
        ctx: CallContext,
        request: Annotated[Request, Meta(description="what to ask")],
        model: Annotated[str | None, Meta(description="which model")] = None,
    ) -> dict[str, Any]:
        """Ask a model.

        More of it.
        """
        raise NotImplementedError

    async def stream(self, ctx: CallContext, request: Request) -> AsyncIterator[str | int]:
        """Ask, and read along."""
        yield str((ctx, request))


def options_first(options: Request | None = None, tags: list[str] | None = None) -> int:
    raise NotImplementedError


def anything(value: Any, exact: msgspec.Raw = NULL) -> None:
    raise NotImplementedError


def nothing() -> None:
    raise NotImplementedError


def bound(function: Any) -> Signature:
    return Signature(function, skip=("self", "ctx"))


COMPLETE = bound(Bridge.complete)


def wrong(signature: Signature, *args: Any) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        signature.decode(pack(list(args)))
    return caught.value


def asked(**options: Any) -> dict[str, Any]:
    return {"messages": [], **options}


# --- what a signature says -----------------------------------------------------------------------


def test_a_signature_is_read_from_the_function() -> None:
    assert COMPLETE.name == "complete"
    assert COMPLETE.doc == "Ask a model."
    assert COMPLETE.render() == "complete(request: Request, model?: string) -> map"


def test_parameters_and_options_carry_their_documentation() -> None:
    request, model = COMPLETE.parameters
    assert (request.doc, model.doc) == ("what to ask", "which model")
    assert (request.required, model.required) == (True, False)
    options = {o.name: o for o in request.options}
    assert options["max_tokens"] == Parameter(
        "max_tokens", "integer", required=False, default=100, doc="how many at most"
    )
    assert [o.render() for o in options["messages"].options] == [
        'role: "system" or "user"', "content?: string", "weight?: integer",
    ]  # fmt: skip
    assert options["top_p"].default is None
    assert options["extra"].default == {}


def test_an_async_generator_is_a_stream() -> None:
    stream = bound(Bridge.stream)
    assert stream.result == "stream of (string or integer)"


def test_the_type_of_a_skipped_parameter_need_not_exist_at_run_time() -> None:
    assert "CallContext" not in globals()
    assert [p.name for p in bound(Bridge.stream).parameters] == ["request"]


def test_a_type_that_holds_itself_has_an_end() -> None:
    parameter = Signature(recursive).parameters[0]
    levels = 0
    while parameter.options:
        parameter = parameter.options[0]
        levels += 1
    assert 1 <= levels <= 4


class Tree(Struct):
    below: list[Tree] = []


def recursive(tree: Tree) -> None:
    raise NotImplementedError


def starred(*values: int) -> None:
    raise NotImplementedError


def keyword_only(*, value: int) -> None:
    raise NotImplementedError


def unannotated(value) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    raise NotImplementedError


@pytest.mark.parametrize("function", [starred, keyword_only, unannotated])
def test_a_function_that_cannot_be_bound_is_a_bug_found_at_once(function: Any) -> None:
    with pytest.raises(TypeError, match=function.__name__):
        Signature(function)


TYPE_NAMES: list[tuple[Any, str]] = [
    (int, "integer"),
    (float, "number"),
    (int | float, "number"),
    (bool, "boolean"),
    (str | None, "string"),
    (None, "null"),
    (type(None), "null"),
    (bytes, "bytes"),
    (list, "list"),
    (list[int], "list of integer"),
    (list[int | str], "list of (integer or string)"),
    (tuple[float, ...], "list of number"),
    (dict, "map"),
    (dict[str, Any], "map"),
    (dict[str, list[str]], "map of list of string"),
    (Any, "any value"),
    (msgspec.Raw, "any value"),
    (Literal["a", "b"], '"a" or "b"'),
    (Literal["a"] | None, '"a"'),
    (Literal[1, "x"], '1 or "x"'),
    (Level, '"low" or "high"'),
    (Message, "Message"),
    (Annotated[int, Meta(ge=1)], "integer"),
    (Annotated[int, Meta(ge=1)] | None, "integer"),
    (str | list[Message], "string or list of Message"),
    (float | UnsetType, "number"),
    (AsyncIterator[str], "stream of string"),
]


@pytest.mark.parametrize(("hint", "name"), TYPE_NAMES, ids=[str(h) for h, _ in TYPE_NAMES])
def test_a_type_is_named_in_words_of_scripts(hint: Any, name: str) -> None:
    assert type_name(hint) == name


# --- decoding ------------------------------------------------------------------------------------


def test_arguments_come_back_in_order_with_defaults() -> None:
    request, model = COMPLETE.decode(pack([{"messages": [{"role": "user", "content": "hi"}]}]))
    assert request == Request([Message("user", "hi")])
    assert model is None


def test_arguments_may_come_as_raw() -> None:
    assert Signature(nothing).decode(msgspec.Raw(b"\x90")) == []


def test_any_and_raw_take_whatever_comes() -> None:
    value, exact = Signature(anything).decode(pack([[], {"a": [1]}]))
    assert value == []
    assert bytes(exact) == pack({"a": [1]})


def test_an_empty_list_is_an_empty_map_where_a_map_is_due() -> None:
    # Lua's {} arrives as a list, wherever it stands.
    options, tags = Signature(options_first).decode(
        pack([asked(extra=[], headers=[], shape={"type": "schema", "body": []}), []])
    )
    assert options == Request([], shape=Schema({}))
    assert tags == []


def test_an_empty_list_is_an_empty_map_as_the_only_options() -> None:
    class Options(Struct, forbid_unknown_fields=True):
        size: int = 3

    def draw(options: Options | None = None) -> None:
        raise NotImplementedError

    draw.__annotations__["options"] = Options | None
    assert Signature(draw).decode(pack([[]])) == [Options()]


def test_an_empty_list_inside_lists_and_maps_is_mended_too() -> None:
    error = wrong(COMPLETE, asked(extra={"x": []}))
    assert error.field == "extra.role"
    assert wrong(COMPLETE, {"messages": [{"role": "user"}, []]}).field == "messages[1].role"


def test_a_list_that_is_not_empty_is_no_map() -> None:
    error = wrong(COMPLETE, [1])
    assert (error.field, error.message) == ("request", "expected map, got list")


def test_an_integral_float_is_an_integer_where_only_an_integer_is_due() -> None:
    def draw(size: Annotated[int, Meta(ge=1)], sizes: dict[str, list[int]], any_: float) -> None:
        raise NotImplementedError

    found = Signature(draw).decode(pack([2.0, {"a": [1, 3.0]}, 4.0]))
    assert repr(found) == repr([2, {"a": [1, 3]}, 4.0])
    for value in (2.5, 2.0**53, 1e300):
        assert wrong(Signature(draw), value, {}, 0).message == "expected integer, got number"
    assert wrong(Signature(draw), 0.0, {}, 0).message == "expected integer >= 1"


def test_bytes_survive_the_mending() -> None:
    def keep(data: bytes, options: Request | None = None) -> None:
        raise NotImplementedError

    data, _ = Signature(keep).decode(pack([b"\x00\xff", asked(extra=[])]))
    assert data == b"\x00\xff"


# --- what a wrong argument is told ---------------------------------------------------------------

WRONG: dict[str, tuple[list[Any], str | None, str]] = {
    "a missing option": ([{}], "messages", "required option 'messages' is missing"),
    "a missing inner option": (
        [{"messages": [{"content": "x"}]}],
        "messages[0].role",
        "required option 'role' is missing",
    ),
    "a missing option of a map that came as a list": (
        [[]], "messages", "required option 'messages' is missing",
    ),
    "an unknown option": ([asked(zzz=1)], "zzz", "unknown option 'zzz'"),
    "an option in camelCase": (
        [asked(maxTokens=1)], "maxTokens", "unknown option 'maxTokens'; did you mean 'max_tokens'?",
    ),
    "a misspelt option": (
        [asked(max_token=1)], "max_token", "unknown option 'max_token'; did you mean 'max_tokens'?",
    ),
    "a misspelt inner option": (
        [{"messages": [{"role": "user", "contents": "x"}]}],
        "messages[0].contents",
        "unknown option 'contents'; did you mean 'content'?",
    ),
    "a wrong type": ([asked(max_tokens="x")], "max_tokens", "expected integer, got string"),
    "a wrong type of a union": (
        [asked(seed=1.5)], "seed", "expected integer or string, got number",
    ),
    "null where none may be": (
        [asked(max_tokens=None)], "max_tokens", "expected integer, got null",
    ),
    "a map that is a number": ([1], "request", "expected map, got integer"),
    "a literal": (
        [{"messages": [{"role": "root"}]}],
        "messages[0].role",
        "must be \"system\" or \"user\", not 'root'",
    ),
    "an enum": ([asked(level="mid")], "level", "must be \"low\" or \"high\", not 'mid'"),
    "a tag": (
        [asked(shape={"type": "regex"})],
        "shape.type",
        "must be \"schema\" or \"grammar\", not 'regex'",
    ),
    "no tag": ([asked(shape={})], "shape.type", "required option 'type' is missing"),
    "a number out of bounds": (
        [{"messages": [{"role": "user", "weight": 0}]}],
        "messages[0].weight",
        "expected integer >= 1",
    ),
    "a pair of one": ([asked(pair=[1])], "pair", "expected list of length 2, got 1"),
    "a plain parameter": ([asked(), 5], "model", "expected string, got integer"),
    "an inner map": ([asked(first={"role": 1})], "first.role", "expected string, got integer"),
    "too few": (
        [],
        None,
        "takes 1 to 2 arguments: complete(request: Request, model?: string) -> map",
    ),
    "too many": (
        [asked(), "m", 3],
        None,
        "takes 1 to 2 arguments: complete(request: Request, model?: string) -> map",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("args", "field", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_argument_is_named_with_the_remedy(
    args: list[Any], field: str | None, message: str
) -> None:
    """P22."""
    error = wrong(COMPLETE, *args)
    assert (error.field, error.message) == (field, message)


def test_counts_of_arguments_are_grammatical() -> None:
    assert wrong(Signature(nothing), 1).message == "takes no arguments: nothing() -> null"
    assert wrong(bound(Bridge.stream)).message.startswith("takes 1 argument: stream(")


def test_bytes_that_are_no_msgpack_are_an_argument_error() -> None:
    with pytest.raises(ArgumentError, match="not valid msgpack"):
        COMPLETE.decode(b"\xc1")
    with pytest.raises(ArgumentError, match="not valid msgpack"):
        COMPLETE.decode(b"\x91\x81")


@pytest.mark.parametrize("text", ["x" * 100_000, "\x1b[2J`'\n", "a` - at `$[0]`", "ж" * 999])
def test_hostile_names_and_texts_stay_bounded_in_errors(text: str) -> None:
    """P20, P21."""
    for error in (
        wrong(COMPLETE, asked(**{text: 1})),
        wrong(COMPLETE, asked(level=text)),
        wrong(COMPLETE, asked(shape={"type": text})),
        wrong(COMPLETE, {"messages": [{"role": text}]}),
    ):
        assert len(str(error)) < 1000
