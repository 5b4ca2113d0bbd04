"""The attack catalogue's rows for Lua, as far as the engine itself answers them.

Each test names its row. The kernel's walls, which hold when the engine does not, are tested with
the locked worker.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import structs

from tests.workers.support.host import LIMITS
from tests.workers.support.lua import failure_of, lua, value_of

MANIFEST: Any = {"llm": {"complete": "call"}}
HANDLERS: Any = {"llm.complete": lambda *_: "answer"}

SLACK = 0.5
"""Seconds over its deadline that a kill may take on a busy machine."""


def small(megabytes: int) -> Any:
    return structs.replace(LIMITS, heap=megabytes << 20)


@pytest.mark.parametrize(
    "name",
    [
        "python",  # L01, L02, L06
        "python and python.eval",
        "dofile",  # L08
        "loadfile",
        "require",
        "package",
        "module",
        "io",  # L10
        "os.execute",  # L09
        "os.exit",
        "os.remove",
        "os.rename",
        "os.getenv",
        "os.setlocale",
        "os.tmpname",
        "string.dump",  # L07
        "('').dump",
        "debug.getregistry",  # L11
        "debug.getupvalue",
        "debug.setupvalue",
        "debug.sethook",
        "debug.setmetatable",
        "debug.getinfo",
        "debug.getlocal",
        "warn",
        "host",
        "P",
    ],
)
def test_l01_to_l11_a_forbidden_name_is_nil(name: str) -> None:
    assert value_of(f"return {name} == nil or not ({name})") is True


WALK = """
local seen, kinds, count = {}, {}, 0
local function walk(value)
  kinds[type(value)] = (kinds[type(value)] or 0) + 1
  if type(value) == "function" or type(value) == "userdata" then
    walk_metatable = getmetatable(value)
    if walk_metatable then kinds["metatable of " .. type(value)] = 1 end
  end
  if type(value) ~= "table" or seen[value] then return end
  seen[value] = true
  local meta = getmetatable(value)
  if meta and meta ~= true then walk(meta) end
  for k, v in next, value do walk(k) walk(v) end
end
walk(_G) walk(_ENV) walk(getmetatable("")) walk(getmetatable(print))
local ok, err = pcall(llm.missing or json.decode, "x")
walk(err)
return {userdata = kinds.userdata or 0, thread = kinds.thread or 0,
        meta = kinds["metatable of function"] or 0}
"""


def test_l02_no_python_object_is_reachable_from_the_globals() -> None:
    assert value_of(WALK, manifest=MANIFEST) == {"userdata": 0, "thread": 0, "meta": 0}


def test_l03_a_bridge_function_is_a_lua_closure_without_attributes() -> None:
    source = """
    local found = {}
    for _, name in ipairs({"__globals__", "__closure__", "__self__", "__code__"}) do
      local ok, e = pcall(function() return llm.complete[name] end)
      found[#found + 1] = not ok and e:find("attempt to index a function value", 1, true) ~= nil
    end
    return found
    """  # L04 too
    assert value_of(source, manifest=MANIFEST) == [True] * 4


def test_l05_metatables_of_the_engines_own_objects_are_out_of_reach() -> None:
    source = """
    local _, err = pcall(json.decode, "x")
    local stream_or_call = llm.complete
    return {getmetatable("") == false, getmetatable(err) == false, getmetatable(env) == false,
            getmetatable(json.null) == false, getmetatable(json.object()) == false,
            getmetatable(stream_or_call) == nil,
            pcall(setmetatable, err, {}), pcall(setmetatable, json.null, {}), llm.complete()}
    """
    value = value_of(source, manifest=MANIFEST, handlers=HANDLERS)
    assert value[:6] == [True] * 6
    assert value[6:8] == [False, False]
    assert value[-1] == "answer"


@pytest.mark.parametrize(
    "source",
    [
        "return load('\\27Lua\\x54\\0\\x19\\x93', 'x', 'b')",
        "return load('\\27Lua\\x54\\0\\x19\\x93', 'x', 'bt')",
        "return load('\\27Lua\\x54\\0\\x19\\x93')",
        "local n = 0 return load(function() n = n + 1 return ({'\\27', 'Lua'})[n] end)",
    ],
)
def test_l07_bytecode_does_not_load(source: str) -> None:
    assert value_of(source) is None


def test_l07_a_script_that_is_bytecode_does_not_load() -> None:
    assert failure_of("\x1bLuaT").cause == "syntax"


def test_l08_load_with_a_nil_environment_reaches_nothing() -> None:
    assert value_of("return load('return _G == nil', 'x', 't', nil) and 1") == 1
    assert value_of("return pcall(load('return print', 'x', 't', nil))") is False


def test_l12_the_metatable_of_strings_cannot_be_replaced_and_no_run_sees_another() -> None:
    source = "function string.evil() return 'evil' end return {('x'):evil(), pcall(setmetatable, '', {})}"
    assert value_of(source)[:2] == ["evil", False]
    assert value_of("return string.evil == nil and ('').evil == nil") is True


@pytest.mark.parametrize(
    "bomb",
    [
        "string.rep('x', 1 << 30)",  # L13
        "('x'):rep(1 << 10, ('y'):rep(1 << 16))",
        "(function() local t = {} for i = 1, 1e9 do t[i] = {} end end)()",  # L14
        "(('x'):rep(1 << 16):gsub('x', ('y'):rep(1 << 16)))",  # L15
        "table.concat(setmetatable({}, {__index = function() return BIG end}), '', 1, 1 << 20)",
    ],
)
def test_l13_to_l15_an_allocation_bomb_can_be_caught_and_uncaught_ends_as_memory(bomb: str) -> None:
    bomb = bomb.replace("BIG", "('x'):rep(1 << 16)")
    caught = f"local ok, e = pcall(function() return {bomb} end) collectgarbage() return {{ok, e}}"
    assert value_of(caught, limits=small(16)) == [False, "not enough memory"]
    failure = failure_of(f"return {bomb}", limits=small(16))
    assert (failure.cause, failure.error.message) == ("memory", "out of memory")


@pytest.mark.parametrize(
    "loop",
    [
        "while true do pcall(string.rep, 'x', 1 << 30) collectgarbage() end",
        "while true do xpcall(string.rep, print, 'x', 1 << 30) end",
        "while true do coroutine.resume(coroutine.create(string.rep), 'x', 1 << 30) end",
        "while true do pcall(pcall, pcall, string.rep, 'x', 1 << 30) end",
    ],
)
def test_l14_a_bomb_in_a_loop_of_pcall_ends_as_memory(loop: str) -> None:
    outcome = lua(loop, limits=small(16))
    assert not outcome.killed
    assert outcome.failure is not None
    assert outcome.failure.cause == "memory"


@pytest.mark.parametrize("size", [1 << 20, 3 << 20, 8 << 20])
def test_l14_an_answer_that_does_not_fit_is_an_error_and_not_a_crash(size: int) -> None:
    source = """
    local ok, e = pcall(llm.complete)
    return {ok, ok and #e or e, (select(2, pcall(json.decode, "[1]")))[1]}
    """
    outcome = lua(
        source, manifest=MANIFEST, handlers={"llm.complete": lambda: "x" * size}, limits=small(4)
    )
    fits = size < 2 << 20
    assert outcome.value == [fits, size if fits else "not enough memory", 1]


def test_l14_memory_that_runs_out_around_host_calls_never_breaks_them() -> None:
    source = """
    local keep, size = {}, 1 << 18
    while size > 16 do
      if pcall(function() keep[#keep + 1] = ("x"):rep(size - #keep) end) then
        pcall(json.encode, {1, 2, "abc"})
        pcall(coroutine.wrap(function() return llm.complete(("y"):rep(1000)) end))
      else
        size = size // 2
      end
    end
    """
    outcome = lua(source, manifest=MANIFEST, handlers=HANDLERS, limits=small(4))
    assert not outcome.killed
    assert outcome.failure is not None
    assert outcome.failure.cause == "memory"


def test_l14_a_source_larger_than_the_memory_is_a_failure() -> None:
    assert failure_of("--" + "x" * (8 << 20), limits=small(4)).cause == "memory"


@pytest.mark.undisturbed
@pytest.mark.parametrize(
    "source",
    [
        "return (('a'):rep(400)):find(('.-'):rep(20) .. 'b')",  # L16
        "return (('a'):rep(32)):find(('a?'):rep(32) .. ('a'):rep(32) .. 'b')",  # L17
        "while true do end",  # L18
        "::top:: goto top",
        "local function f() return f() end f()",
        "setmetatable({}, {__gc = function() while true do end end}) collectgarbage()",  # L19
        "error(setmetatable({}, {__tostring = function() while true do end end}))",  # L23
    ],
)
def test_l16_to_l19_what_never_ends_is_killed_at_the_deadline(source: str) -> None:
    outcome = lua(source, deadline=0.3)
    assert outcome.killed
    assert outcome.status == -9
    assert outcome.seconds < 0.3 + SLACK


def test_l19_a_finalizer_does_not_run_after_the_end() -> None:
    source = "keep = setmetatable({}, {__gc = function() while true do end end}) return 1"
    outcome = lua(source)
    assert outcome.value == 1
    assert not outcome.killed
    assert outcome.status == 0


@pytest.mark.parametrize(
    "source",
    [
        "local function f(n) return coroutine.wrap(function() return f(n + 1) end)() end f(1)",
        "local function f() return pcall(f) end return f()",
        "local function f() return select(2, pcall(string.gsub, 'x', 'x', f)) end return f()",
        "local mt = {} mt.__index = function(t, k) return t[k] end return setmetatable({}, mt).x",
        "do local x <close> = setmetatable({}, {__close = function() coroutine.close(coroutine.running()) end}) end",
        "local co co = coroutine.wrap(function() co() end) co()",
        "return string.rep('(', 1000):find(string.rep('(', 1000))",
    ],
)
def test_l20_deep_c_recursion_ends_as_an_error_without_a_crash(source: str) -> None:
    outcome = lua(source, limits=small(64))
    assert outcome.status == 0
    assert not outcome.killed


@pytest.mark.undisturbed
@pytest.mark.parametrize(
    "source",
    [
        "return " + "(" * 100_000,
        "return " + "{" * 300 + "}" * 300,
        "local a0" + "".join(f", a{i}" for i in range(300)),
        "x = " + "-" * 100_000 + "1",
        "do " * 1000 + "end " * 1000,
        "local x <const> = 1; return " + " .. ".join(["x"] * 100_000),
    ],
)
def test_l21_a_parser_bomb_is_a_syntax_error_within_a_second(source: str) -> None:
    began = time.monotonic()
    assert failure_of(source).cause == "syntax"
    assert time.monotonic() - began < 1


def test_l21_a_quarter_million_constants_compile() -> None:
    source = "return #{" + ",".join(f"{i}.5" for i in range(1 << 18)) + "}"
    assert value_of(source) == 1 << 18


@pytest.mark.parametrize(
    "expression",
    [
        "table.unpack({}, 1, 1e7)",  # L22
        "string.byte(('x'):rep(8 << 20), 1, -1)",
        "string.char(table.unpack({}, 1, 1e7))",
        "string.format('%99999d', 1)",  # L24
        "string.format('%.999f', 1)",
        "('x'):rep(-1 >> 1)",
    ],
)
def test_l22_and_l24_a_call_with_absurd_sizes_is_an_error(expression: str) -> None:
    assert failure_of(f"return {expression}").cause == "error"


def test_l24_text_with_a_nul_stays_whole() -> None:
    assert value_of("return string.format('%s|%q', 'a\\0b', 'c\\0')") == 'a\0b|"c\\0"'


@pytest.mark.parametrize(
    "option", ["generational", "incremental", "setpause", "setstepmul", "stop", "restart"]
)
def test_l26_the_collector_cannot_be_reconfigured(option: str) -> None:
    assert value_of(f"return pcall(collectgarbage, '{option}')") is False


def test_l26_collections_around_and_inside_host_calls_do_no_harm() -> None:
    source = """
    local seen = 0
    local function trap()
      setmetatable({}, {__gc = function() seen = seen + 1 json.encode({seen}) llm.complete() trap() end})
    end
    trap()
    for i = 1, 200 do llm.complete({("x"):rep(i)}) collectgarbage() collectgarbage("step", 1) end
    return {seen > 10, collectgarbage("count") > 0}
    """.replace("local function trap", "function trap")
    assert value_of(source, manifest=MANIFEST, handlers=HANDLERS) == [True, True]


def test_l27_a_poisoned_environment_hurts_only_the_script_itself() -> None:
    source = """
    setmetatable(_G, {__index = function() return "fake" end, __newindex = function() end})
    pcall, error, type, tostring, next, select, setmetatable = nil
    string.format, string.pack, string.sub, table.concat, math.type, utf8.len = nil
    _ENV = {llm = llm, json = json}
    return {llm.complete({1, "a"}), json.encode({b = 1, a = {}})}
    """
    value = value_of(source, manifest=MANIFEST, handlers=HANDLERS)
    assert value == ["answer", '{"a":[],"b":1}']
    assert value_of("return type(pcall) == 'function' and getmetatable(_G) == nil") is True


def test_l28_clocks_tick_in_milliseconds() -> None:
    source = """
    local fine = 0
    for _ = 1, 1000 do
      local c, t = os.clock() * 1000, util.time() * 1000
      if math.abs(c - math.round(c)) > 1e-6 or math.abs(t - math.round(t)) > 1e-3 then fine = fine + 1 end
    end
    return {fine, math.type(os.time())}
    """
    assert value_of(source) == [0, "integer"]


GLOBALS = """
_G _VERSION assert collectgarbage console coroutine debug env error getmetatable ipairs json load
math next os pairs params pcall print rawequal rawget rawlen rawset select setmetatable string table
tonumber tostring type utf8 util xpcall
"""
MEMBERS = {
    "coroutine": "close create isyieldable resume running status wrap yield",
    "debug": "traceback",
    "os": "clock date difftime time",
    "string": "byte char find format gmatch gsub len lower match pack packsize rep reverse sub"
    " unpack upper",
    "table": "concat insert move pack remove sort unpack",
    "utf8": "char charpattern codepoint codes len offset",
}


def test_l01_to_l11_the_globals_are_the_list_and_nothing_else() -> None:
    source = """
    local function names(t) local n = {} for k in next, t do n[#n + 1] = k end return n end
    local inside = {}
    for _, name in ipairs(params.tables) do inside[name] = names(_G[name]) end
    return {names(_G), inside}
    """
    found, inside = value_of(source, params={"tables": list(MEMBERS)})
    assert sorted(found) == sorted(GLOBALS.split())
    assert {k: sorted(v) for k, v in inside.items()} == {k: v.split() for k, v in MEMBERS.items()}
