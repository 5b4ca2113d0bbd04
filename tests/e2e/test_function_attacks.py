"""Spells that try to get at what runs their functions: real workers, real walls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor
from tests.e2e.cross_engine.puppet_bridge import PuppetBridge


class Stage:
    """A supervisor with the bridge that calls functions."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._supervisor = Supervisor(Config())

    def open(self) -> None:
        """Start it."""
        self._runner.run(self._supervisor.__aenter__())
        self._supervisor.bridges.add(PuppetBridge())

    def close(self) -> None:
        """Stop it."""
        self._runner.run(self._supervisor.__aexit__())

    def report(self, language: str, source: str, **policy: Any) -> RunReport:
        """Run one spell."""
        spell = Spell.from_text(source, language, "spell")
        granted = Policy(**{"allow_bridges": ("puppet",), **policy})
        return self._runner.run(self._supervisor.run(spell, policy=granted))

    def lua(self, source: str, **policy: Any) -> Any:
        """The value of a spell in Lua."""
        return self._value(self.report("lua", source, **policy))

    def javascript(self, source: str, **policy: Any) -> Any:
        """The value of a spell in JavaScript."""
        return self._value(self.report("javascript", source, **policy))

    def _value(self, report: RunReport) -> Any:
        assert report.verdict == "ok", report.problem
        return report.value


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        opened = Stage(runner)
        opened.open()
        yield opened
        opened.close()


POISON = """
let heard = "";
const trap = (name) => function () { heard += `${name} `; };
for (const name of ["then", "toJSON", "get", "set", "value", "functions", "objects", "texts", "kind",
    "message", "@function", "@object", "0", "1", "2"]) {
  Object.defineProperty(Object.prototype, name, {
    __proto__: null, configurable: true, get: trap(name), set: trap(name) });
}
for (const [type, names] of [[Map, ["get", "set"]], [WeakMap, ["get", "set"]],
    [Promise, ["then", "catch"]], [Array, ["push", "map"]], [Function, ["call", "apply", "bind"]]]) {
  for (const name of names) type.prototype[name] = trap(`${type.name}.${name}`);
}
Array.prototype[Symbol.iterator] = trap("iterator");
"""


@pytest.mark.attack("J13")
def test_poisoned_prototypes_are_not_asked_by_what_runs_functions(stage: Stage) -> None:
    source = f"""{POISON}
    const sum = await puppet.callWith((a, b) => {{ return a + b }}, [1, 2]);
    const doll = await puppet.doll("Ada");
    const name = await puppet.nameOf(doll);
    const story = await puppet.story("once");
    const said = await puppet.say(story);
    let failed;
    try {{ await puppet.callWith(() => puppet.fail(), []); }} catch (e) {{ failed = e.kind; }}
    return `${{heard}}|${{sum}} ${{name}} ${{said}} ${{failed}}`;
    """
    assert stage.javascript(source) == "|3 Ada once RateLimit"


@pytest.mark.attack("J13")
@pytest.mark.attack("B30")
def test_a_getter_of_an_argument_may_call_the_bridge_and_gets_its_own_answer(stage: Stage) -> None:
    source = """
    let inner;
    const plan = { get last() { inner ??= puppet.say("inner"); return () => "outer"; } };
    return [await puppet.carryOut(plan), await inner];
    """
    assert stage.javascript(source) == [["outer"], "inner"]


def test_methods_of_strings_are_those_of_the_start(stage: Stage) -> None:
    source = """
    const story = await puppet.story("once upon");
    String.prototype.slice = () => "poisoned";
    return [story.slice(0, 4), Object.getPrototypeOf(Object.getPrototypeOf(story))];
    """
    assert stage.javascript(source) == ["once", None]


def test_an_object_can_be_neither_changed_nor_made(stage: Stage) -> None:
    source = """
    const doll = await puppet.doll("Ada"), box = await puppet.box();
    const forged = Object.create(doll), copied = { ...doll }, kinds = [];
    for (const forgery of [forged, copied, new Proxy(doll, {})]) {
      try { await puppet.nameOf(forgery); } catch (e) { kinds.push(e.kind); }
    }
    return [kinds, Object.isFrozen(doll), Object.getPrototypeOf(doll), await copied.myName.call(box)];
    """
    refusals = ["Validation", "Conversion", "Conversion"]
    assert stage.javascript(source) == [refusals, True, None, "Ada"]


@pytest.mark.parametrize(
    "body",
    [
        "() => new Promise(() => {})",
        "async () => { for (;;) await null; }",
        "() => ({ then() {} })",
    ],
)
@pytest.mark.attack("B30")
def test_a_function_that_never_settles_ends_with_the_run(stage: Stage, body: str) -> None:
    report = stage.report("javascript", f"await puppet.callWith({body}, [])", timeout=0.5, cpu=0.3)
    assert report.verdict in ("wall_limit", "cpu_limit")
    assert report.usage.wall < 10


def test_concurrent_functions_beyond_the_bound_are_refused_one_by_one(stage: Stage) -> None:
    source = """
    const runs = Array.from({ length: 33 }, () => () => new Promise(() => {}));
    try { return await puppet.atOnce(runs); } catch (e) { return e.kind; }
    """
    assert stage.javascript(source) == "Limit"


def test_functions_call_bridges_while_all_calls_are_open(stage: Stage) -> None:
    source = """
    const calls = Array.from({ length: 8 }, (_, i) =>
      puppet.callWith(async (x) => await puppet.say(x) + await puppet.say(x), [i]));
    return await Promise.all(calls);
    """
    doubled = [0, 2, 4, 6, 8, 10, 12, 14]
    assert stage.javascript(source, max_concurrent=2) == doubled


@pytest.mark.attack("B30")
def test_a_function_cannot_yield_out_of_itself(stage: Stage) -> None:
    source = """
    local found
    local thread = coroutine.wrap(function()
      found = puppet.kind_of_failure(function() coroutine.yield("out") end)
      return "end"
    end)
    return {thread(), found[2]}
    """
    assert stage.lua(source) == ["end", "spell:4: a function that the host calls cannot yield"]


def test_a_function_may_use_coroutines_of_its_own(stage: Stage) -> None:
    source = """
    return puppet.call_with(function()
      local t, next_one = {}, coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(puppet.say(i)) end
      end)
      for v in next_one do t[#t + 1] = v end
      return t
    end, {})
    """
    assert stage.lua(source) == [1, 2, 3]


def test_a_function_may_end_the_stream_that_called_it(stage: Stage) -> None:
    source = """
    local stream
    stream = puppet.count(5, function(n) if n == 3 then stream:close() end return n end)
    local t = {}
    for v in stream do t[#t + 1] = v end
    return {t, puppet.say("on")}
    """
    assert stage.lua(source) == [[1, 2], "on"]


@pytest.mark.attack("L05")
def test_what_holds_functions_and_objects_in_lua_is_out_of_reach(stage: Stage) -> None:
    source = """
    local doll, story = puppet.doll("Ada"), puppet.story("once")
    local other = puppet.box()
    local found = {getmetatable(doll), getmetatable(story), rawlen(doll), next(doll) == nil}
    found[5] = pcall(setmetatable, doll, {})
    found[6] = select(2, pcall(doll.my_name, other)).kind
    found[7] = select(2, pcall(doll.my_name, {})).kind
    found[8] = pcall(doll.my_name)
    rawset(doll, "my_name", function() return "forged" end)
    found[9] = puppet.name_of(doll)
    return found
    """
    assert stage.lua(source) == [
        False,
        False,
        0,
        True,
        False,
        "Validation",
        "Validation",
        False,
        "Ada",
    ]


def test_a_function_without_memory_is_an_error_and_the_run_goes_on_or_ends(stage: Stage) -> None:
    source = """
    local ok = pcall(puppet.call_with, function() return string.rep("x", 1 << 40) end, {})
    return {ok, puppet.say("on")}
    """
    assert stage.lua(source) == [False, "on"]
    bomb = "puppet.call_with(function() local t = {} while true do t[#t + 1] = {} end end, {})"
    report = stage.report("lua", bomb, memory=64 << 20, timeout=20.0)
    assert report.verdict in ("memory_limit", "script_error")
