"""Lua values across the wall, in both directions."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol import MAX_DEPTH
from tests.workers.support.lua import lua, value_of

ECHO = {"host": {"echo": "call"}}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("nil", None),
        ("true", True),
        ("0", 0),
        ("127", 127),
        ("128", 128),
        ("-33", -33),
        ("math.maxinteger", 2**63 - 1),
        ("math.mininteger", -(2**63)),
        ("2^31 | 0", 2**31),
        ("0.5", 0.5),
        ("''", ""),
        ("'é'", "é"),
        ("('x'):rep(300)", "x" * 300),
        ("('x'):rep(70000)", "x" * 70000),
        ("'\\xff'", b"\xff"),
        ("('\\xff'):rep(300)", b"\xff" * 300),
        ("('\\xff'):rep(70000)", b"\xff" * 70000),
        ("'\\u{D800}'", b"\xed\xa0\x80"),
        ("{}", []),
        ("{1, 'a', {}}", [1, "a", []]),
        ("{a = 1, b = {c = 2}}", {"a": 1, "b": {"c": 2}}),
        ("json.object()", {}),
        ("json.object({a = 1})", {"a": 1}),
        ("json.null", None),
        ("{json.null, a}", [None]),
        ("{x = json.null}", {"x": None}),
        ("env", {}),
    ],
)
def test_a_value_arrives_as_what_it_is(expression: str, expected: Any) -> None:
    value = value_of(f"return {expression}")
    assert value == expected
    assert type(value) is type(expected)


def test_a_float_with_an_integral_value_stays_a_float() -> None:
    assert isinstance(value_of("return 1.0"), float)


def test_only_the_first_of_several_results_is_the_value() -> None:
    assert value_of("return 1, 2, 3") == 1


def test_a_script_without_return_has_a_null_value() -> None:
    outcome = lua("local x = 1")
    assert outcome.result == b"\xc0"


@pytest.mark.parametrize("size", [15, 16, 70000])
def test_lists_of_every_header_size_arrive(size: int) -> None:
    assert value_of(f"local t = {{}} for i = 1, {size} do t[i] = i end return t") == list(
        range(1, size + 1)
    )


@pytest.mark.parametrize("size", [15, 16, 11_000])
def test_maps_of_every_header_size_arrive(size: int) -> None:
    expected = {f"k{i}": i for i in range(1, size + 1)}
    assert value_of(f"local t = {{}} for i = 1, {size} do t['k' .. i] = i end return t") == expected


VALUES: list[Any] = [
    True,
    0,
    -1,
    -32,
    -33,
    255,
    256,
    65536,
    2**32,
    2**63 - 1,
    -(2**63),
    1.5,
    1e300,
    "",
    "é" * 200,
    "x" * 70000,
    b"\xff",
    b"\xff" * 300,
    b"\xff" * 70000,
    [],
    {},
    [None, {"a": [{}]}],
    list(range(70000)),
    {str(i): i for i in range(40)},
]


def test_what_the_host_sends_comes_back_unchanged() -> None:
    outcome = lua(
        "local t = {} for i = 1, host.count() do t[i] = host.echo(i) end return t",
        manifest={"host": {"echo": "call", "count": "call"}},
        handlers={"host.echo": lambda i: VALUES[i - 1], "host.count": lambda: len(VALUES)},
    )
    assert outcome.value == VALUES
    assert [type(v) for v in outcome.value] == [type(v) for v in VALUES]


def test_bytes_that_are_valid_text_become_text() -> None:
    outcome = lua("return host.echo()", manifest=ECHO, handlers={"host.echo": lambda: b"plain"})
    assert outcome.value == "plain"


def test_null_alone_is_nil_and_inside_is_json_null() -> None:
    outcome = lua(
        "local inside = host.echo(1) return host.echo(0) == nil and inside[1] == json.null",
        manifest=ECHO,
        handlers={"host.echo": lambda i: [None] if i else None},
    )
    assert outcome.value is True


def test_trailing_nils_of_a_call_are_left_out() -> None:
    outcome = lua(
        "host.echo(1, nil, 2, nil, nil)", manifest=ECHO, handlers={"host.echo": lambda *_: None}
    )
    assert outcome.calls == [("host.echo", [1, None, 2])]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("print", "a function cannot cross"),
        ("coroutine.create(print)", "a thread cannot cross"),
        ("{a = {1, print}}", "a function cannot cross at $.a[1]"),
        ("{['a b'] = {['\\n'] = print}}", 'a function cannot cross at $["a b"]["\\n"]'),
        ("0/0", "NaN and infinities cannot cross"),
        ("{1/0}", "NaN and infinities cannot cross at $[0]"),
        ("{x = -1/0}", "NaN and infinities cannot cross at $.x"),
        ("{1, nil, 3}", "a list with holes cannot cross; fill them with null"),
        ("{a = {[2] = 1}}", "a list with holes cannot cross; fill them with null at $.a"),
        ("{1, a = 1}", "a table with both list items and named fields cannot cross"),
        ("{[0] = 1}", "a map key must be a string, not a number"),
        ("{[1.5] = 1}", "a map key must be a string, not a number"),
        ("{[true] = 1}", "a map key must be a string, not a boolean"),
        ("json.object({1})", "a map key must be a string, not a number"),
        ("{['\\xff'] = 1}", "text that is not valid Unicode cannot cross"),
    ],
)
def test_what_cannot_cross_is_refused_by_rule_and_path(expression: str, message: str) -> None:
    failure = lua(f"return {expression}").failure
    assert failure is not None
    assert failure.cause == "conversion"
    assert failure.error.kind == "Conversion"
    assert failure.error.message.startswith(message)


def test_a_stream_cannot_cross() -> None:
    failure = lua(
        "return {llm.stream()}",
        manifest={"llm": {"stream": "stream"}},
        handlers={"llm.stream": lambda: iter(())},
    ).failure
    assert failure is not None
    assert failure.error.message == "a stream cannot cross at $[0]"


def test_a_caught_error_crosses_as_a_map() -> None:
    value = value_of("local _, e = pcall(json.decode, 'x') return e")
    assert (value["kind"], value["retryable"]) == ("Serialization", False)


def test_a_cycle_is_refused() -> None:
    failure = lua("local t = {} t.me = {t} return t").failure
    assert failure is not None
    assert failure.error.message == "a value that contains itself cannot cross at $.me[0]"


def test_the_same_table_twice_is_no_cycle() -> None:
    assert value_of("local t = {1} return {t, t}") == [[1], [1]]


def test_nesting_up_to_the_limit_crosses_and_one_more_does_not() -> None:
    source = "local t = {{}} for _ = 2, {depth} do t = {{t}} end return t"
    assert lua(source.format(depth=MAX_DEPTH)).failure is None
    failure = lua(source.format(depth=MAX_DEPTH + 1)).failure
    assert failure is not None
    assert failure.error.message.startswith("nesting deeper than 64 levels cannot cross at $[0][0]")


def test_more_elements_than_the_cap_are_refused_before_they_are_built() -> None:
    failure = lua("local t = {} for i = 1, 300000 do t[i] = 1 end return t").failure
    assert failure is not None
    assert "weighs more than" in failure.error.message


def test_a_shared_table_cannot_multiply_past_the_cap() -> None:
    source = "local t = {1, 1} for _ = 1, 40 do t = {t, t} end return t"
    failure = lua(source).failure
    assert failure is not None
    assert "weighs more than" in failure.error.message


def test_arguments_that_cannot_cross_name_the_argument() -> None:
    outcome = lua(
        "local ok, e = pcall(host.echo, 1, {tools = {print}}) return {e.kind, e.message, e.field}",
        manifest=ECHO,
    )
    assert outcome.value == [
        "Conversion",
        "a function cannot cross at argument 2.tools[0]",
        "argument 2.tools[0]",
    ]
    assert outcome.calls == []


def test_metamethods_do_not_run_while_a_value_is_read() -> None:
    source = """
    local trap = function() error("trapped") end
    local mt = {__index = trap, __pairs = trap, __len = trap, __eq = trap, __tostring = trap}
    return setmetatable({1, 2}, mt)
    """
    assert value_of(source) == [1, 2]
