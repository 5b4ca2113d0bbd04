"""How a spell in JavaScript runs: its body, its errors, promises, calls, streams and timers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from llmspell_protocol import ErrorInfo, Failure, WorkerLimits
from tests.workers.support.host import LIMITS, HandlerFault, Outcome, run_engine

MANIFEST: Any = {
    "llm": {"complete": "call", "list_models": "call", "busy": "call", "stream": "stream"},
}


LIMITED = ErrorInfo(
    "RateLimit", "slow down", retryable=True, retry_after=1.5, field="model", duration=2.5
)


def busy() -> None:
    raise HandlerFault(LIMITED)


def stream(count: int = 3, fail_at: int = -1) -> Generator[Any, None, Any]:
    for number in range(count):
        if number == fail_at:
            raise HandlerFault(ErrorInfo("Network", "cut off"))
        yield {"delta": f"{number}"}
    return {"total": count}


HANDLERS: Any = {
    "llm.complete": lambda value=None: value,
    "llm.list_models": lambda: ["tiny"],
    "llm.busy": busy,
    "llm.stream": stream,
}


def run(source: str, **options: Any) -> Outcome:
    return run_engine("javascript", source, manifest=MANIFEST, handlers=HANDLERS, **options)


def failure_of(source: str, **options: Any) -> Failure:
    outcome = run(source, **options)
    assert outcome.failure is not None, outcome
    return outcome.failure


# --- the body -----------------------------------------------------------------------------------


def test_the_engine_passes_its_own_test() -> None:
    assert run("return 1", self_test=True).value == 1


def test_return_and_await_work_at_the_top() -> None:
    assert run("const [name] = await llm.listModels(); return name").value == "tiny"


def test_a_spell_without_return_gives_null() -> None:
    outcome = run("1 + 1")
    assert outcome.result == b"\xc0"


def test_a_spell_is_strict() -> None:
    assert "undeclared" in failure_of("undeclared = 1").error.message
    assert run("return typeof this").value == "undefined"


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("const x = ;", 1, 11),
        ("let a = 1;\n  let a = 2;", 2, 7),
        ("#!/usr/bin/env x\n\nreturn (", 3, 9),
        ("}); escaped(); (async function () {", 1, 2),
        ("return 1\n}", 2, 2),
        ("'use strict'; with (a) {}", 1, 15),
    ],
)
def test_a_syntax_error_has_its_place_in_the_spell(source: str, line: int, column: int) -> None:
    for mode in ("execute", "validate"):
        failure = failure_of(source, mode=mode)
        assert failure.cause == "syntax"
        assert failure.error.message.startswith("SyntaxError: ")
        assert (failure.line, failure.column) == (line, column)


def test_validation_runs_nothing() -> None:
    outcome = run("console.log('ran'); await llm.complete(1); return", mode="validate")
    assert (outcome.failure, outcome.logs, outcome.calls) == (None, [], [])


def test_a_module_is_told_that_there_are_none() -> None:
    failure = failure_of("\nimport fs from 'fs'", mode="validate")
    assert (failure.cause, failure.line) == ("syntax", 2)
    assert "a spell is one file" in failure.error.message
    failure = failure_of("await import('fs')")
    assert failure.cause == "unsupported"
    assert "a spell is one file" in failure.error.message


# --- errors -------------------------------------------------------------------------------------


def test_an_error_has_the_line_column_and_stack_of_the_spell_and_no_other() -> None:
    source = "#!/x\nfunction inner() {\n  null.x;\n}\nawait llm.complete(1);\ninner();"
    failure = failure_of(source, name="hello.js")
    assert (failure.cause, failure.line, failure.column) == ("error", 3, 3)
    assert failure.error == ErrorInfo("Script", 'TypeError: can\'t access property "x" of null')
    assert failure.stack is not None
    assert failure.stack.splitlines()[:2] == ["at inner (hello.js:3:3)", "at hello.js:6:1"]
    assert "prelude" not in failure.stack


def test_a_name_used_before_its_own_declaration_is_the_engines_error() -> None:
    failure = failure_of("const workflow = workflow.sequential()")
    assert "can't access lexical declaration 'workflow'" in failure.error.message
    assert (failure.line, failure.column) == (1, 18)


@pytest.mark.parametrize(
    ("thrown", "message"),
    [
        ("'text'", "text"),
        ("null", "null"),
        ("undefined", "undefined"),
        ("{kind: 'Policy', message: 'fake'}", "fake"),
        ("{a: 1}", '{"a":1}'),
        ("Symbol('s')", "Symbol(s)"),
        ("{get message() { throw 1 }}", "[unreadable]"),
        ("Object.defineProperty(new Error, 'message', {get() { throw 1 }})", "cannot be read"),
        ("Object.assign(new Error, {name: {toString() { throw 1 }}, message: 'm'})", "m"),
        ("new Proxy(new Error('p'), {get() { throw 1 }})", "cannot be read"),
        ("Object.assign(new Error('x'.repeat(1e6)), {})", "x" * 16384),
        ("new (class Mine extends Error { name = 'Mine' })('m')", "Mine: m"),
    ],
)
def test_whatever_is_thrown_becomes_a_script_error(thrown: str, message: str) -> None:
    failure = failure_of(f"throw {thrown}")
    assert (failure.cause, failure.error.kind) == ("error", "Script")
    assert message in failure.error.message
    assert len(failure.error.message) < 20000


def test_a_failed_call_can_be_caught_with_all_that_is_known() -> None:
    source = """
    try { await llm.busy() } catch (e) {
      return [e instanceof Error, e.name, e.kind, e.message, e.retryable, e.retry_after, e.field,
              e.duration, `${e}`, e.stack];
    }"""
    assert run(source).value == [
        True, "BridgeError", "RateLimit", "slow down", True, 1.5, "model", 2.5,
        "BridgeError: slow down", "@spell.js:2:21\n",
    ]  # fmt: skip


def test_an_uncaught_failed_call_keeps_its_kind_and_the_place_of_the_call() -> None:
    failure = failure_of("function ask() { return llm.busy() }\nawait ask()")
    assert failure.error == LIMITED
    assert (failure.cause, failure.line, failure.column) == ("error", 1, 29)


def test_a_spell_cannot_change_what_is_known_of_a_failed_call() -> None:
    source = "try { await llm.busy() } catch (e) { e.kind = 'Internal'; e.message = 'me'; throw e }"
    assert failure_of(source).error.kind == "RateLimit"


def test_endless_recursion_is_an_error_like_others() -> None:
    failure = failure_of("function f() { return 1 + f() }\nf()")
    assert "too much recursion" in failure.error.message
    assert failure.stack is not None
    assert len(failure.stack.splitlines()) == 20


# --- promises -----------------------------------------------------------------------------------


def test_a_rejection_that_nobody_handles_ends_the_run() -> None:
    # J11
    source = (
        "async function lost() {\n  throw new TypeError('gone') }\nlost(); await util.sleep(9e6)"
    )
    failure = failure_of(source)
    assert (failure.cause, failure.error.message) == ("unhandled", "TypeError: gone")
    assert (failure.line, failure.column) == (2, 9)


@pytest.mark.parametrize(
    "source",
    [
        "async function f() { throw 1 } try { await f() } catch { return 'caught' }",
        "const p = Promise.reject(1); await null; await null; return p.catch(() => 'caught')",
        "return Promise.allSettled([Promise.reject(1), llm.busy()]).then(() => 'caught')",
        "const p = llm.busy(); p.catch(() => 0); await llm.complete(1); return 'caught'",
    ],
)
def test_a_rejection_that_is_handled_in_time_is_none(source: str) -> None:
    assert run(source).value == "caught"


def test_a_hostile_promise_cannot_hide_its_rejection() -> None:
    source = """
    const p = Promise.reject(new Error("hidden"));
    Object.defineProperty(p, "constructor", {get() { throw 1 }, configurable: true});
    await util.sleep(9e6)"""
    assert failure_of(source).cause == "unhandled"


def test_a_promise_that_nothing_can_settle_ends_the_run() -> None:
    failure = failure_of("await new Promise(() => {})")
    assert (failure.cause, failure.line) == ("error", None)
    assert "nothing will settle" in failure.error.message


def test_promise_jobs_run_in_order_and_before_timers() -> None:
    source = """
    const seen = [];
    setTimeout(() => seen.push("timer"), 0);
    queueMicrotask(() => seen.push("micro"));
    Promise.resolve().then(() => seen.push("then")).then(() => seen.push("then2"));
    seen.push("sync");
    for (let i = 0; i < 10000; i++) await null;
    seen.push("many");
    await util.sleep(5);
    return seen;
    """
    assert run(source).value == ["sync", "micro", "then", "then2", "many", "timer"]


# --- calls --------------------------------------------------------------------------------------


def test_calls_of_promise_all_are_open_at_once() -> None:
    source = "return Promise.all([1, 2, 3, 4].map((n) => llm.complete(n)))"
    assert run(source, answer_when_open=4).value == [1, 2, 3, 4]


def test_more_calls_than_may_be_open_take_turns() -> None:
    source = "return Promise.all(Array.from({length: 50}, (_, n) => llm.complete(n)))"
    limits = WorkerLimits(heap=64 << 20, max_request=1 << 20, max_result=1 << 20, max_in_flight=4)
    assert run(source, limits=limits, answer_when_open=2).value == list(range(50))


def test_a_call_that_nobody_awaits_is_finished_before_the_run_ends() -> None:
    outcome = run("llm.complete(1).then(() => console.log('done')); return 'value'")
    assert (outcome.value, outcome.texts) == ("value", ["done"])


def test_an_argument_over_the_limit_is_the_calls_error() -> None:
    source = "try { await llm.complete('x'.repeat(2e6)) } catch (e) { return [e.kind, e.message] }"
    kind, message = run(source).value
    assert kind == "Validation"
    assert f"limit is {LIMITS.max_request}" in message


def test_a_method_that_is_not_granted_is_not_there() -> None:
    assert "llm.embed is not a function" in failure_of("await llm.embed(1)").error.message
    assert "tools is not defined" in failure_of("await tools.run()").error.message


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["llm.stream(40)", "await llm.stream(40)"])
def test_a_stream_is_iterated_to_its_end_and_has_a_result(head: str) -> None:
    source = f"""
    const s = {head}; let text = "";
    for await (const chunk of s) text += chunk.delta;
    return [text, await s.result];
    """
    outcome = run(source)
    assert outcome.value == ["".join(map(str, range(40))), {"total": 40}]
    assert outcome.credits >= 24  # the first window is 16


def test_breaking_off_closes_the_stream() -> None:
    source = "for await (const c of llm.stream(1000)) if (c.delta === '20') break; return 'left'"
    outcome = run(source)
    assert (outcome.value, outcome.closed) == ("left", [1])


def test_a_slow_reader_holds_the_stream_back() -> None:
    source = """
    const s = llm.stream(1000); const it = s[Symbol.asyncIterator]();
    await it.next(); await util.sleep(20); return 'slow'"""
    outcome = run(source)
    assert outcome.value == "slow"
    assert outcome.credits == 0  # and so the host was allowed one window, and no more


def test_the_result_of_a_stream_that_nobody_reads_still_comes() -> None:
    assert run("return llm.stream(100).result").value == {"total": 100}


def test_an_error_in_a_stream_reaches_the_loop_after_the_chunks_before_it() -> None:
    source = """
    const seen = [];
    try { for await (const c of llm.stream(9, 2)) seen.push(c.delta) }
    catch (e) { return [seen, e.kind, e.message] }"""
    assert run(source).value == [["0", "1"], "Network", "cut off"]


def test_arguments_that_cannot_cross_fail_at_the_first_chunk() -> None:
    source = (
        "const s = llm.stream(NaN); try { for await (const c of s); } catch (e) { return e.kind }"
    )
    assert run(source).value == "Conversion"


# --- timers and the world -------------------------------------------------------------------------


def test_a_pending_timer_keeps_the_run_alive() -> None:
    outcome = run("setTimeout((a, b) => console.log(a, b), 5, 'x', 1); return 1")
    assert (outcome.value, outcome.texts) == (1, ["x 1"])


def test_timers_fire_in_order_of_time_and_can_be_cleared() -> None:
    source = """
    const seen = [];
    const gone = setTimeout(() => seen.push("gone"), 1);
    setTimeout(() => seen.push("late"), 20); setTimeout(() => seen.push("soon"), 5);
    let ticks = 0; const every = setInterval(() => { if (++ticks === 3) clearInterval(every) }, 1);
    clearTimeout(gone); clearTimeout("no such"); clearTimeout(undefined);
    await util.sleep(40); return [seen, ticks];
    """
    assert run(source).value == [["soon", "late"], 3]


def test_an_error_in_a_timer_ends_the_run() -> None:
    failure = failure_of(
        "setTimeout(() => {\n throw new Error('tick') }, 1); await util.sleep(9e6)"
    )
    assert (failure.cause, failure.error.message, failure.line) == ("unhandled", "tick", 2)


def test_console_shows_values_as_people_read_them() -> None:
    source = """
    const loop = {}; loop.self = loop;
    console.log("text", 1, -0, NaN, 1n, null, undefined, true, Symbol("s"), () => 1);
    console.info({a: [1, "b", {c: null}]}, loop, new Map([["k", 1]]), new Set([1]));
    console.warn(new TypeError("bad"), new Date(0), /x/g, new Uint8Array([1]), Promise.resolve());
    console.error({get a() { throw 1 }}, new Proxy({}, {ownKeys() { throw 1 }}));
    console.debug();
    """
    assert run(source).logs == [
        ("log", "text 1 0 NaN 1n null undefined true Symbol(s) [Function]"),
        ("info", '{"a":[1,"b",{"c":null}]} {"self":[Circular]} Map {"k"=>1} Set {1}'),
        ("warn", "TypeError: bad 1970-01-01T00:00:00.000Z /x/g Uint8Array [1] [Promise]"),
        ("error", "[unreadable] [unreadable]"),
        ("debug", ""),
    ]


def test_env_holds_what_was_granted_and_cannot_be_changed() -> None:
    source = "try { env.A = 2 } catch {} return [env.A, env.HOME === undefined, Object.keys(env)]"
    assert run(source, env={"A": "1"}).value == ["1", True, ["A"]]


def test_the_library_is_there_in_camel_case() -> None:
    source = """
    return [json.encode({b: 1, a: [1.0, null]}), json.decode('{"x": [1]}'), json.null,
            util.base64Encode("é"), util.base64Decode("/w=="), util.hash("a", "md5"),
            util.uuid().length, util.time() > 1e9, math.pow(2, 10), math.clamp(9, 0, 5),
            math.round(-2.5), math.sign(-3), math.lerp(0, 10, 0.5), math.sum([1, 2.5]),
            math.mean([1, 2]), math.median([3, 1, 2]), math.trunc(-1.5)];
    """
    assert run(source).value == [
        '{"a":[1,null],"b":1}', {"x": [1]}, None, "w6k=", b"\xff",
        "0cc175b9c0f1b6a831c399e269772661", 36, True, 1024, 5, -3, -1, 5, 3.5, 1.5, 2, -1,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        ("math.pow('a', 2)", "Validation", "math.pow: base: expected number, got string"),
        ("util.base64Decode('*')", "Validation", "not valid base64"),
        ("json.decode('{')", "Serialization", "not valid JSON, line 1"),
        ("json.encode(NaN)", "Conversion", "NaN and infinities cannot cross at argument 1"),
        ("await util.sleep(-1)", "Validation", "util.sleep: milliseconds"),
        ("await util.sleep()", "Validation", "util.sleep: takes 1 argument"),
    ],
)
def test_the_library_refuses_as_in_every_language(call: str, kind: str, text: str) -> None:
    failure = failure_of(f"\n{call}")
    assert failure.error.kind == kind
    assert text in failure.error.message
    assert failure.line == 2
