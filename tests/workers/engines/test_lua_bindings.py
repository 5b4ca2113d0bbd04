"""What a Lua script finds: bridges, streams, console, params, env, the library."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
from msgspec import structs

from llmspell_protocol import ErrorInfo
from llmspell_workers.engines._lua import _engine
from llmspell_workers.engines._lua._host import STREAM_CREDIT
from tests.workers.support.host import LIMITS, HandlerFault
from tests.workers.support.lua import lua, value_of

CALL: Any = {"llm": {"complete": "call"}}
STREAM: Any = {"llm": {"stream": "stream", "complete": "call"}}


def count_to(last: int) -> Any:
    def chunks(*_: Any) -> Generator[Any, None, Any]:
        yield from range(1, last + 1)
        return {"count": last}

    return chunks


def test_a_call_blocks_and_returns_its_value() -> None:
    outcome = lua(
        "local r = llm.complete({messages = {{role = 'user', content = 'hi'}}}) return r.content",
        manifest=CALL,
        handlers={"llm.complete": lambda request: {"content": request["messages"][0]["content"]}},
    )
    assert outcome.value == "hi"
    assert outcome.calls == [("llm.complete", [{"messages": [{"role": "user", "content": "hi"}]}])]


def test_a_call_works_from_a_coroutine() -> None:
    source = """
    local co = coroutine.create(function() coroutine.yield(llm.complete(1)) return llm.complete(2) end)
    local _, a = coroutine.resume(co)
    local _, b = coroutine.resume(co)
    return {a, b, llm.complete(3)}
    """
    assert value_of(source, manifest=CALL, handlers={"llm.complete": lambda x: x * 10}) == [
        10,
        20,
        30,
    ]


def test_arguments_over_the_limit_are_refused_before_they_are_sent() -> None:
    outcome = lua(
        "local _, e = pcall(llm.complete, ('x'):rep(2000)) return {e.kind, e.message}",
        manifest=CALL,
        limits=structs.replace(LIMITS, max_request=1000),
    )
    assert outcome.value == [
        "Validation",
        "llm.complete: 2004 bytes of arguments; the limit is 1000",
    ]
    assert outcome.calls == []


def test_a_stream_is_iterated_and_leaves_its_result() -> None:
    source = """
    local got = {}
    local stream = llm.stream("go")
    for chunk in stream do got[#got + 1] = chunk end
    return {got, stream.result, stream() == nil}
    """
    outcome = lua(source, manifest=STREAM, handlers={"llm.stream": count_to(100)})
    assert outcome.value == [list(range(1, 101)), {"count": 100}, True]
    assert outcome.credits == 96, "what was consumed, in halves of the window"


def test_no_more_chunks_are_under_way_than_the_window() -> None:
    made = []

    def chunks() -> Iterator[int]:
        for i in range(1000):
            made.append(i)
            yield i

    lua(
        "local s = llm.stream() local first = s() llm.complete() s:close()",
        manifest=STREAM,
        handlers={"llm.stream": chunks, "llm.complete": lambda: None},
    )
    assert len(made) == STREAM_CREDIT


def test_a_null_chunk_does_not_end_the_loop() -> None:
    def chunks() -> Iterator[Any]:
        yield from (None, False, 1)

    source = "local got = {} for c in llm.stream() do got[#got + 1] = c end return got"
    assert value_of(source, manifest=STREAM, handlers={"llm.stream": chunks}) == [None, False, 1]


@pytest.mark.parametrize(
    "source",
    [
        "local s = llm.stream() s() s:close() s:close() return s()",
        "do local s <close> = llm.stream() s() end",
        "do local s = llm.stream() s() end collectgarbage() collectgarbage()",
        "local s = llm.stream() for c in s, nil, nil, s do break end",
    ],
)
def test_a_stream_that_is_not_wanted_any_more_is_closed(source: str) -> None:
    outcome = lua(source, manifest=STREAM, handlers={"llm.stream": count_to(1000)})
    assert outcome.failure is None
    assert outcome.closed == [1]


def test_closing_a_stream_frees_its_place_among_the_open_calls() -> None:
    source = """
    for i = 1, 50 do
      local s = llm.stream()
      s()
      s:close()
    end
    return true
    """
    limits = structs.replace(LIMITS, max_in_flight=1)
    outcome = lua(source, manifest=STREAM, handlers={"llm.stream": count_to(99)}, limits=limits)
    assert outcome.value is True


def test_more_open_streams_than_the_limit_are_an_error() -> None:
    source = """
    local a, b = llm.stream(), llm.stream()
    local ok, e = pcall(llm.stream)
    return {ok, e.kind, e.retryable, #e.message > 0}
    """
    limits = structs.replace(LIMITS, max_in_flight=2)
    outcome = lua(source, manifest=STREAM, handlers={"llm.stream": count_to(99)}, limits=limits)
    assert outcome.value == [False, "Limit", True, True]


def test_a_fault_in_a_stream_is_raised_where_it_is_iterated_and_once() -> None:
    def chunks() -> Iterator[int]:
        yield 1
        raise HandlerFault(ErrorInfo("Network", "cut off", retryable=True))

    source = """
    local s = llm.stream()
    local first = s()
    local ok, e = pcall(s)
    return {first, ok, e.kind, s() == nil}
    """
    assert value_of(source, manifest=STREAM, handlers={"llm.stream": chunks}) == [
        1,
        False,
        "Network",
        True,
    ]


def test_calls_and_streams_interleave() -> None:
    source = """
    local a, b, got = llm.stream(), llm.stream(), {}
    for x in a do got[#got + 1] = x + llm.complete(x) + b() end
    b:close()
    return got
    """
    handlers = {"llm.stream": count_to(40), "llm.complete": lambda x: x * 1000}
    outcome = lua(source, manifest=STREAM, handlers=handlers)
    assert outcome.value == [x + x * 1000 + x for x in range(1, 41)]


def test_console_has_a_level_for_each_function_and_print_logs() -> None:
    outcome = lua(
        "console.debug('a') console.info('b') console.log('c') console.warn('d') console.error('e')"
        " print('f', 1)"
    )
    assert outcome.logs == [
        ("debug", "a"),
        ("info", "b"),
        ("log", "c"),
        ("warn", "d"),
        ("error", "e"),
        ("log", "f 1"),
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ("nil, true, 1, 1.5, 'x'", "nil true 1 1.5 x"),
        ("{1, 'a', {b = {}}}", '[1,"a",{"b":[]}]'),
        ("{b = 1, a = 'q\"\\n'}", '{"a":"q\\"\\n","b":1}'),
        ("json.null, {json.null}", "null [null]"),
        ("json.object()", "{}"),
        ("print", "[Function]"),
        ("{[1.5] = print}", "{[1.5]:[Function]}"),
        ("setmetatable({}, {__tostring = function() return 'me' end})", "me"),
        ("env", '{"A":"1"}'),
        ("'\\xff'", "\ufffd"),
    ],
)
def test_values_are_shown_readably(arguments: str, text: str) -> None:
    assert lua(f"console.log({arguments})", env={"A": "1"}).texts == [text]


def test_a_cycle_is_shown_and_depth_is_cut() -> None:
    outcome = lua("local t = {} t.me = t print(t) for _ = 1, 30 do t = {t} end print(t)")
    assert outcome.texts[0] == '{"me":[Circular]}'
    assert outcome.texts[1] == "[[[[[[[[[...]]]]]]]]]"


def test_a_huge_entry_is_cut_and_says_so() -> None:
    outcome = lua("print(('x'):rep(5e6)) local t = {} for i = 1, 1e5 do t[i] = i end print(t)")
    assert outcome.texts[0].endswith(" (cut)")
    assert all(len(text) < 40_000 for text in outcome.texts)


def test_params_and_env_are_there_and_missing_names_are_nil() -> None:
    source = """
    local names = {}
    for name in pairs(env) do names[#names + 1] = name end
    return {params.topic, params.none == nil, env.KEY, env.NONE == nil, names}
    """
    outcome = lua(source, params={"topic": "bees"}, env={"KEY": "k"})
    assert outcome.value == ["bees", True, "k", True, ["KEY"]]


def test_env_cannot_be_written() -> None:
    outcome = lua(
        "local ok, e = pcall(function() env.KEY = 1 end) return {ok, e}", env={"KEY": "k"}
    )
    assert outcome.value == [False, "spell.lua:1: env is read-only"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("json.encode({b = 1, a = {1, 2.5}})", '{"a":[1,2.5],"b":1}'),
        ("json.encode({a = 1}, {pretty = true})", '{\n  "a": 1\n}'),
        ("json.encode(nil)", "null"),
        ("json.decode('[1, {}, null]')", [1, {}, None]),
        ("util.base64_decode(util.base64_encode('\\xff\\0'))", b"\xff\0"),
        ("util.hash('abc', 'md5')", "900150983cd24fb0d6963f7d28e17f72"),
        ("#util.uuid()", 36),
        ("util.time() > 1.7e9", True),
        ("util.sleep(1)", None),
        ("math.pow(2, 3)", 8),
        ("math.pow(2, 0.5)", 2**0.5),
        ("math.clamp(11, 0, 10)", 10),
        ("math.round(-2.5)", -3),
        ("math.round(0.49999999999999994)", 0),
        ("math.trunc(-1.5)", -1),
        ("math.sign(-0.1)", -1),
        ("math.lerp(0, 10, 0.25)", 2.5),
        ("math.sum({1, 2, 3.5})", 6.5),
        ("math.sum({})", 0),
        ("math.mean({1, 2})", 1.5),
        ("math.median({3, 1, 2})", 2),
        ("math.median({4, 1, 2, 3})", 2.5),
        ("math.floor(1.5)", 1),
    ],
)
def test_the_library_is_there(expression: str, expected: Any) -> None:
    value = value_of(f"return {expression}")
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("json.encode, 1, {indent = 99}", "indent"),
        ("json.encode, 1, {prety = true}", "prety"),
        ("json.decode, 1", "text"),
        ("util.hash, 'x', 'crc'", "algorithm"),
        ("util.sleep, -1", "milliseconds"),
        ("util.sleep, 'x'", "milliseconds"),
        ("math.pow, 2, 'x'", "exponent"),
        ("math.sum, {1, 'x'}", "values[1]"),
        ("math.sum, {a = 1}", "values"),
        ("math.sum, nil", "values"),
    ],
)
def test_arguments_of_the_library_are_validated(call: str, field: str) -> None:
    source = f"local ok, e = pcall({call}) return {{ok, e.kind, e.field}}"
    assert value_of(source) == [False, "Validation", field]


def test_dates_are_in_utc_and_normalised() -> None:
    source = """
    local t = {year = 2024, month = 14, day = -3, hour = 0}
    local at = os.time(t)
    return {at, t.year, t.month, t.day, os.date("%Y-%m-%d %H:%M", at), os.date("*t", 0).hour,
            os.time({year = 1970, month = 1, day = 1}), os.time({year = 2000, month = 3, day = 1, hour = 0})}
    """
    assert value_of(source) == [
        1738022400,
        2025,
        1,
        28,
        "2025-01-28 00:00",
        0,
        12 * 3600,
        951868800,
    ]


def test_load_compiles_text_in_the_globals_of_the_script() -> None:
    source = """
    x = 41
    local pieces = {"return ", "x + 1"}
    local i = 0
    local f = load(function() i = i + 1 return pieces[i] end)
    return {f(), load("return x", "c", "t", {x = "own"})(), (select(2, load("x =", "=c")))}
    """
    assert value_of(source) == [42, "own", "c:1: unexpected symbol near <eof>"]


def test_two_workers_of_one_zygote_draw_different_random_numbers() -> None:
    source = "return {math.random(0), math.random(0)}"
    assert value_of(source) != value_of(source)


def test_the_engine_tests_itself_inside_the_worker() -> None:
    assert lua("return 1", self_test=True).value == 1


def test_a_name_that_must_not_be_there_ends_the_zygote_before_any_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_engine, "_SEARCH", "io = {} " + _engine._SEARCH)
    with pytest.raises(RuntimeError, match=r"Lua's self-test found .*io"):
        _engine.LuaEngine().preload()
