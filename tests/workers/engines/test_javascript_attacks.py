"""The attack catalogue's rows for JavaScript, as far as the engine itself answers them.

Each test names its row; values (J07, J12 to J14, J18 to J20) have theirs in
`test_javascript_values.py`, rejections (J11) in `test_javascript_run.py`. Every spell here runs
under the engine's own system-call filter: a call that is not on the list kills, and fails the test.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers.support.host import Outcome, run_engine

MANIFEST: Any = {"llm": {"complete": "call", "stream": "stream"}}

OURS = {
    "console", "json", "util", "math", "params", "env", "llm", "setTimeout", "setInterval",
    "clearTimeout", "clearInterval", "queueMicrotask",
}  # fmt: skip


def echo(value: Any) -> Any:
    return value


def run(source: str, **options: Any) -> Outcome:
    options.setdefault("handlers", {"llm.complete": echo})
    return run_engine("javascript", source, manifest=MANIFEST, locked=True, **options)


def value_of(source: str, **options: Any) -> Any:
    outcome = run(source, **options)
    assert outcome.failure is None, outcome.failure
    assert outcome.status == 0
    return outcome.value


def test_scripts_find_the_language_and_our_names_and_nothing_else() -> None:
    # J01, J04, J21
    names = value_of("return Reflect.ownKeys(globalThis).filter((k) => typeof k === 'string')")
    foreign = {
        "python", "pmEval", "require", "XMLHttpRequest", "fetch", "WebSocket", "WebAssembly",
        "SharedArrayBuffer", "Atomics", "FinalizationRegistry", "Debugger", "load", "quit", "os",
        "process", "global", "window", "self", "module", "exports", "pythonmonkey",
    }  # fmt: skip
    assert not foreign & set(names)
    assert set(names) >= OURS


def test_nothing_can_be_done_with_the_second_global() -> None:
    # J01: an `iframe` of sorts
    source = """
    const husk = debuggerGlobal, tries = [
      () => husk.Debugger, () => husk.eval, () => husk.Function, () => husk.Object,
      () => Object.getPrototypeOf(husk), () => husk.constructor, () => husk.globalThis];
    const found = tries.filter((f) => { try { return f() != null } catch { return false } });
    return [found.map(String), Reflect.ownKeys(husk).filter((k) => husk[k] != null)];
    """
    found, keys = value_of(source)
    assert found == []
    assert set(keys) <= {"NaN", "Infinity"}


@pytest.mark.parametrize(
    "reach",
    [
        "Function('return this')()",
        "(0, eval)('this')",
        "llm.complete.constructor('return this')()",
        "console.log.constructor.constructor('return this')()",
        "util.sleep(0).constructor.constructor('return this')()",
        "(() => { try { math.pow({}) } catch (e) { return e.constructor.constructor('return this')() } })()",
        "setTimeout.constructor('return this')()",
        "(async () => {}).constructor('return globalThis')().constructor.constructor('return this')()",
    ],
)
def test_constructors_lead_to_the_same_realm_and_no_further(reach: str) -> None:
    # J02
    source = f"""
    const global = {reach};
    return [global === globalThis, typeof global.python, typeof global.host];
    """
    assert value_of(source) == [True, "undefined", "undefined"]


def test_bridges_are_frozen_and_have_no_prototype() -> None:
    # J03
    source = """
    const facts = [];
    for (const table of [llm, console, json, util, math, env]) {
      facts.push(Object.getPrototypeOf(table), Object.isFrozen(table), table.constructor,
                 table.__proto__);
      for (const f of Object.values(table)) if (f) facts.push(Object.isFrozen(f), "prototype" in f);
      try { table.extra = 1; facts.push("written") } catch {}
    }
    try { llm = 1; facts.push("replaced") } catch {}
    try { delete globalThis.llm; facts.push("deleted") } catch {}
    return [...new Set(facts)];
    """
    assert set(value_of(source)) == {None, True, False}


@pytest.mark.parametrize("trap", ["caller", "arguments", "callee"])
def test_functions_do_not_tell_who_called_them(trap: str) -> None:
    # J03
    source = f"""
    let seen = "nothing";
    await llm.complete({{get a() {{ try {{ seen = typeof llm.complete.{trap} }} catch {{}} return 1 }}}});
    return seen;
    """
    assert value_of(source) in ("nothing", "undefined")


def test_prototype_pollution_changes_no_argument_and_no_result() -> None:
    # J15, J16
    source = """
    const evil = () => { throw new Error("hijacked") };
    for (const key of ["url", "method", "kind", "get", "set", "value", "writable", "chunk"])
      Object.prototype[key] = "polluted";
    Object.prototype.toJSON = Array.prototype.toJSON = evil;
    Object.defineProperty(Array.prototype, "0", {__proto__: null, get: evil, set: evil});
    Array.prototype[Symbol.iterator] = Array.prototype.push = Array.prototype.map = evil;
    JSON.stringify = JSON.parse = Reflect.apply = Object.keys = Array.isArray = evil;
    Function.prototype.call = Function.prototype.apply = Function.prototype.bind = evil;
    String.prototype.slice = String.prototype.isWellFormed = Map.prototype.get = evil;
    Promise.prototype.then = Promise.resolve = evil; globalThis.Promise = evil;
    Uint8Array.prototype.toBase64 = Uint8Array.fromBase64 = evil; globalThis.Error = evil;
    Object.defineProperty(String.prototype, "0", {__proto__: null, get: evil});
    const value = await llm.complete({list: [1, {deep: Uint8Array.of(1)}], big: 2n ** 60n});
    console.log("still", {here: 1});
    return value;
    """
    outcome = run(source)
    assert outcome.failure is None, outcome.failure
    expected = {"list": [1, {"deep": b"\x01"}], "big": 2**60}
    assert outcome.value == expected
    assert outcome.calls == [("llm.complete", [expected])]
    assert outcome.texts == ['still {"here":1}']


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("return {then(r) { r(1); r(2); r({then: null}) }}", 1),
        ("Object.prototype.then = function (r) { r('own doing') }; return {a: 1}", "own doing"),
        ("return {then(r) { throw 1 }}", None),
        ("return {then() {}}", None),
        ("const p = {then(r) { r(p) }}; return p", None),
    ],
)
def test_a_thenable_settles_the_run_once_or_never(source: str, value: Any) -> None:
    # J17: what a spell does to its own promises is its own; the run has one end.
    outcome = run(source, deadline=2)
    assert outcome.value == value
    assert (outcome.failure is not None or outcome.killed) == (value is None)


@pytest.mark.parametrize(
    "source",
    [
        "for (;;);",
        "/(a+)+$/.test('a'.repeat(40) + 'b')",  # J09
        "const f = () => Promise.resolve().then(f); await f()",  # J10
        "for (;;) await null",  # J10
        "const f = () => queueMicrotask(f); f(); await util.sleep(1)",  # J10
        "const f = () => { setTimeout(f, 0); setTimeout(f, 0) }; f()",  # J10
        "return {get a() { for (;;); }}",  # J12
        "return new Proxy({}, {ownKeys() { for (;;); }})",  # J12
        "console.log({get a() { for (;;); }})",
        "throw {get message() { for (;;); }}",
    ],
)
def test_an_endless_spell_lasts_until_it_is_killed(source: str) -> None:
    outcome = run(source, deadline=0.7)
    assert outcome.killed
    assert outcome.status == -9


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("JSON.parse('['.repeat(200000))", "SyntaxError"),  # J08
        ("let o = []; for (let i = 0; i < 1e5; i++) o = [o]; JSON.stringify(o)", "too much recursion"),
        ("eval('('.repeat(1e5))", "too much recursion"),
        ("const a = [1, 2, 3]; const f = () => a.sort(f); f()", "too much recursion"),  # J23
        ("const o = {get a() { return this.a }}; o.a", "too much recursion"),  # J23
        ("return {get a() { return {get a() { return o }, x: 1}}}; var o", ""),
        ("let s = new Proxy({}, {}); for (let i = 0; i < 1e5; i++) s = new Proxy(s, {}); s.x",
         "too much recursion"),
        ("'x'.repeat(2 ** 30)", "repeat count"),
        ("1n << (2n ** 40n)", "BigInt is too large"),
        ("(1.5).toFixed(101)", "precision"),  # J25
        ("new Intl.NumberFormat('de', {minimumFractionDigits: 1e9})", "RangeError"),  # J25
    ],
)  # fmt: skip
def test_a_bomb_for_the_stack_or_the_parser_is_an_ordinary_error(source: str, message: str) -> None:
    outcome = run(source)
    assert outcome.status == 0
    if message:
        assert outcome.failure is not None
        assert message in outcome.failure.error.message


def test_the_parser_survives_a_bomb_in_the_spell_itself() -> None:
    for source in ("(" * 100_000, "[" * 100_000, "a=>" * 50_000, "`${" * 50_000, "{" * 100_000):
        outcome = run(source, mode="validate")
        assert outcome.status == 0
        assert outcome.failure is not None


def test_a_stack_names_no_path_of_the_host() -> None:
    # J24
    source = """
    Error.prepareStackTrace = (e, frames) => frames;
    const stacks = [new Error("a").stack];
    try { llm.complete.call(null, {get a() { stacks.push(new Error("b").stack); return 1 }}) } catch {}
    try { math.pow({}) } catch (e) { stacks.push(e.stack, e.fileName) }
    try { JSON.parse("x") } catch (e) { stacks.push(e.stack, e.fileName) }
    await llm.complete(1);
    return stacks.join("\\n");
    """
    text = value_of(source)
    assert "@/" not in text
    assert ".py" not in text


def test_host_errors_quote_no_python() -> None:
    source = """
    const texts = [];
    for (const f of [() => json.decode("x".repeat(99)), () => util.hash(1, 2, 3, 4), () => json.encode(),
                     () => util.base64Decode(null), () => math.sum("x"), () => json.encode(1, {x: 1})])
      try { f() } catch (e) { texts.push(e.kind, `${e.message}`, e.stack) }
    return texts.join("\\n");
    """
    text = value_of(source)
    for leak in ("Traceback", "File ", ".py", "HostError", "msgspec"):
        assert leak not in text


def test_collecting_a_million_objects_needs_no_call_that_is_not_listed() -> None:
    # J22: no finalizer of a spell exists, and the engine's own run under the filter.
    source = """
    let kept = [];
    for (let i = 0; i < 300000; i++) { kept.push({i, list: [i], text: `${i}`}); if (i % 50000 === 0) kept = [] }
    const weak = new WeakRef({}); const map = new WeakMap([[kept, 1]]);
    return [kept.length > 0, typeof FinalizationRegistry, map.get(kept)];
    """
    assert value_of(source, deadline=40) == [True, "undefined", 1]


def test_dates_and_locales_work_without_a_file() -> None:
    # J25
    source = """
    return [new Date(2026, 0, 1, 12).getTimezoneOffset(), new Date(0).toString().slice(0, 33),
            new Intl.NumberFormat("de").format(1234.5), (12).toLocaleString("ar-EG"),
            new Date(0).toLocaleDateString("ja-JP", {timeZone: "Asia/Tokyo"}),
            ["z", "ä", "a"].sort(new Intl.Collator("de").compare).join("")]
    """
    offset, text, number, arabic, date, ordered = value_of(source)
    assert (offset, text) == (0, "Thu Jan 01 1970 00:00:00 GMT+0000")
    assert (number, arabic, date, ordered) == ("1.234,5", "١٢", "1970/1/1", "aäz")


def test_a_log_flood_is_many_short_entries_and_a_long_line_is_cut() -> None:
    # J26: what becomes of them is the host's affair; here, a line cannot break the frame cap.
    outcome = run("console.log('x'.repeat(5e6)); for (let i = 0; i < 2000; i++) console.log(i)")
    assert outcome.status == 0
    assert len(outcome.texts) == 2001
    assert len(outcome.texts[0]) < 40000
