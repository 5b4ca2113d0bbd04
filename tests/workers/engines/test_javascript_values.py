"""What crosses from JavaScript and back, and what is refused, each with its place."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol import INT_MAX, INT_MIN, MAX_DEPTH
from tests.workers.support.host import Outcome, run_engine


def run(source: str, **options: Any) -> Outcome:
    return run_engine("javascript", source, **options)


def echo(value: Any) -> Any:
    return value


LLM: Any = {"manifest": {"llm": {"complete": "call"}}, "handlers": {"llm.complete": echo}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("undefined", None),
        ("null", None),
        ("true", True),
        ("1.0", 1),
        ("-0", 0),
        ("0.1", 0.1),
        ("2 ** 53 - 1", 2**53 - 1),
        ("2 ** 53", 2.0**53),
        ("1e21", 1e21),
        ("5e-324", 5e-324),
        ("7n", 7),
        ("2n ** 63n - 1n", INT_MAX),
        ("-(2n ** 63n)", INT_MIN),
        ("'\\u{1f600}é\\0'", "\U0001f600é\0"),
        ("'\\0b'", "\0b"),
        ("new Uint8Array([0, 255])", b"\x00\xff"),
        ("[undefined, , null]", [None, None, None]),
        ("({a: undefined, b: null})", {"b": None}),
        ("({['__proto__']: 1, constructor: 2})", {"__proto__": 1, "constructor": 2}),
        ("Object.create({inherited: 1}, {own: {value: 2, enumerable: true}})", {"own": 2}),
        ("Object.defineProperty({}, 'hidden', {value: 1})", {}),
        ("({[Symbol('s')]: 1})", {}),
        ("new (class Point { x = 1; #y = 2; norm() {} })()", {"x": 1}),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_returned_value_arrives(expression: str, value: Any) -> None:
    arrived = run(f"return {expression}").value
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[1, NaN]", "NaN and infinities cannot cross at $[1]"),  # J18
        ("-Infinity", "NaN and infinities cannot cross"),
        ("{a: 2n ** 63n}", "an integer beyond 64 bits cannot cross at $.a"),  # J18
        ("{'a b': () => 1}", 'a function cannot cross at $["a b"]'),  # J20
        ("Symbol('s')", "a symbol cannot cross"),  # J20
        ("'\\ud800'", "text that is not valid Unicode cannot cross"),  # J19
        (
            "{'\\udc00': 1}",
            'text that is not valid Unicode cannot cross at $["\\udc00"]',
        ),  # J19
        ("new Map()", "a Map cannot cross; see Object.fromEntries"),
        ("[new Set()]", "a Set cannot cross; see Array.from at $[0]"),
        ("{p: Promise.resolve()}", "a Promise cannot cross; is an await missing? at $.p"),
        ("new Error('x')", "an Error cannot cross; its message can"),
        ("new WeakRef({})", "a WeakRef cannot cross"),  # J20
        ("new Float64Array(1)", "a Float64Array cannot cross; a Uint8Array or an array can"),
        ("new ArrayBuffer(1)", "an ArrayBuffer cannot cross; a Uint8Array can"),
        ("Object(1)", "a Number object cannot cross; a plain number can"),
        ("new Date(NaN)", "an object that cannot be read cannot cross (invalid date)"),  # J20
        (
            "{get a() { throw new Error('trap') }}",
            "an object that cannot be read cannot cross (trap)",
        ),
    ],
)
def test_a_value_that_cannot_cross_is_refused_with_its_place(expression: str, message: str) -> None:
    failure = run(f"return ({expression})").failure
    assert failure is not None
    assert (failure.cause, failure.error.kind, failure.error.message) == (
        "conversion",
        "Conversion",
        message,
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("const o = {}; o.list = [o]; return o", "contains itself cannot cross at $.list"),  # J14
        ("let o = 1; for (let i = 0; i < 65; i++) o = [o]; return o", "nesting deeper than 64"),
        ("let o = 1; for (let i = 0; i < 1e5; i++) o = {o}; return o", "nesting deeper"),  # J14
        ("const a = []; a.length = 2 ** 32 - 1; return a", "weighs more than 102328"),  # J07
        ("return Array.from({length: 3e5}, () => 0)", "weighs more than 102328"),
        ("return new Proxy([], {get: () => 1e9})", "weighs more than 102328"),  # J12
        ("const u = new Uint8Array(8); u.buffer.transfer(); return u", "detached"),  # J20
        ("return [new Proxy({}, {getPrototypeOf() { throw new TypeError('no') }})]", "be read"),
    ],
)  # fmt: skip
def test_a_value_without_bounds_is_refused_before_it_is_copied(source: str, reason: str) -> None:
    failure = run(source).failure
    assert failure is not None
    assert failure.cause == "conversion"
    assert reason in failure.error.message


def test_nesting_up_to_the_cap_crosses() -> None:
    source = f"let o = 1; for (let i = 0; i < {MAX_DEPTH}; i++) o = [o]; return o"
    value = run(source).value
    for _ in range(MAX_DEPTH):
        (value,) = value
    assert value == 1


def test_a_getter_is_read_once_and_what_it_did_to_the_rest_is_seen_consistently() -> None:
    # J12: the check and the copy are one walk.
    source = """
    let reads = 0;
    const value = {get a() { reads++; delete this.b; return reads }, b: 2, c: 3};
    const result = await llm.complete(value);
    return [reads, result];
    """
    assert run(source, **LLM).value == [1, {"a": 1, "c": 3}]


def test_a_call_inside_a_getter_during_conversion_does_not_mix_the_two_up() -> None:
    # J13
    source = """
    const inner = [];
    const value = {get a() { inner.push(llm.complete({deep: 2n ** 60n})); return "\\0" }};
    return [await llm.complete(value), await inner[0]];
    """
    assert run(source, **LLM).value == [{"a": "\0"}, {"deep": 2**60}]


def test_what_the_host_sends_arrives_as_javascript_has_it() -> None:
    params = {
        "safe": 2**53 - 1,
        "big": 2**53,
        "low": INT_MIN,
        "real": 1.5,
        "data": b"\x00\xff",
        "nul": "\0i1",
        "list": [None, True, {"__proto__": 1}],
        "many": [0.5] * 1000,
    }
    source = """
    const {safe, big, low, real, data, nul, list, many} = params;
    return [typeof safe, typeof big, low === -(2n ** 63n), real, data instanceof Uint8Array,
            [...data], nul.length, list[0], Object.keys(list[2]), many.length, params];
    """
    *facts, back = run(source, params=params).value
    assert facts == [
        "number", "bigint", True, 1.5, True, [0, 255], 3, None, ["__proto__"], 1000,
    ]  # fmt: skip
    assert back == params


def test_arguments_are_named_by_their_number_in_a_refusal() -> None:
    source = (
        "try { await llm.complete(1, {x: [Symbol()]}) } catch (e) { return [e.kind, e.message] }"
    )
    assert run(source, **LLM).value == ["Conversion", "a symbol cannot cross at argument 2.x[0]"]


def test_ten_megabytes_of_text_cross_in_both_directions() -> None:
    text = "é" * (2 << 20)
    source = "return (await llm.complete(params.text.slice(0, 400000))).length + params.text.length"
    assert run(source, params={"text": text}, **LLM).value == (2 << 20) + 400000
