"""What a spell is given: parameters, arguments that come back, answers of a bridge."""

from __future__ import annotations

from typing import Any

from llmspell_testkit._echo import GIFTS
from tests.e2e.cross_engine.case import Case, Differs, Failed, caught, gives

EVERYTHING: dict[str, Any] = {
    "null": None,
    "yes": True,
    "no": False,
    "int": 7,
    "big": 2**63 - 1,
    "float": 0.25,
    "text": "Grüße 🌍\0",
    "list": [1, [2], {}, []],
    "map": {"k": {"l": None}},
    "octets": b"\xff\x00",
}
ONE_NUMBER_TYPE = "JavaScript has one type of number, and an integral one arrives as an integer"
ONE_STRING_TYPE = "Lua has one type for text and octets: valid UTF-8 is text"


def given(what: str, value: Any, differs: Differs | None = None) -> Case:
    """A value of the host's, received by a spell and returned."""
    return gives(
        f"the host's {what} comes back the same",
        f'return echo.give("{what}")',
        f'return await echo.give("{what}")',
        value,
        differs=differs,
    )


def told(name: str, lua: str, js: str, heard: str, differs: Differs | None = None) -> Case:
    """An argument, as the host heard it: written in Python."""
    lua, js = f"return echo.describe({lua})", f"return await echo.describe({js})"
    return gives(f"the host hears {name}", lua, js, heard, differs=differs)


def bad_argument(name: str, lua: str, js: str, kind: Any, message: str, field: str) -> Case:
    """A call that is refused before or by the host."""
    failed = Failed(kind=kind, message=message, field=field)
    return caught(f"an argument is refused: {name}", lua, js, failed)


GIVEN = tuple(
    given(what, value)
    for what, value in GIFTS.items()
    if what not in ("integral float", "text bytes")
)

CASES = (
    gives(
        "there are no parameters by default",
        "return next(params) == nil",
        "return Object.keys(params).length === 0",
        True,
    ),
    gives(
        "a parameter that is missing is nothing",
        'return {params.nothing == nil, params.name or "stranger"}',
        'return [params.nothing == null, params.name ?? "stranger"]',
        [True, "stranger"],
    ),
    gives(
        "parameters of every type come back the same",
        "return params",
        "return params",
        EVERYTHING,
        params=EVERYTHING,
    ),
    gives(
        "types of parameters",
        "local t = {} for k, v in pairs(params) do t[k] = math.type(v) or type(v) end "
        "return {t.int, t.float, t.text, t.yes, t.list, t.map}",
        'return ["int", "float", "text", "yes", "list", "map"].map((k) => '
        '({ number: Number.isInteger(params[k]) ? "integer" : "float", object: "table" })'
        "[typeof params[k]] ?? typeof params[k])",
        ["integer", "float", "string", "boolean", "table", "table"],
        params=EVERYTHING,
    ),
    gives(
        "null in parameters is the null of the language",
        "return {params.null == json.null, params.map.k.l == json.null}",
        "return [params.null === null, params.map.k.l === json.null]",
        [True, True],
        params=EVERYTHING,
    ),
    gives(
        "parameters can be reached by number and by name",
        "return {params.list[1], #params.list, params.map.k ~= nil}",
        "return [params.list[0], params.list.length, params.map.k !== undefined]",
        [1, 4, True],
        params=EVERYTHING,
    ),
    gives(
        "a large integer keeps its last digit",
        "return params.big - 1",
        "return params.big - 1n",
        2**63 - 2,
        params=EVERYTHING,
    ),
    gives(
        "a parameter can be changed without harm",
        "params.a = 2 return params",
        "params.a = 2; return params",
        {"a": 2},
        params={"a": 1},
    ),
    *GIVEN,
    given("integral float", 3, Differs(reason=ONE_NUMBER_TYPE, lua={"value": 3.0})),
    given("text bytes", b"abc", Differs(reason=ONE_STRING_TYPE, lua={"value": "abc"})),
    gives(
        "null by itself is nothing",
        'return echo.give("null") == nil',
        'return (await echo.give("null")) === null',
        True,
    ),
    told("null", "nil", "null", "None"),
    caught(
        "an argument is refused: none where one is due",
        "echo.describe()",
        "await echo.describe()",
        Failed(
            kind="Validation",
            message="echo.describe: takes 1 argument: describe(value: any value) -> string",
        ),
    ),
    told("booleans", "{true, false}", "[true, false]", "[True, False]"),
    told(
        "integers",
        "{0, -1, 9007199254740991}",
        "[0, -1, 9007199254740991]",
        "[0, -1, 9007199254740991]",
    ),
    told("integers of 64 bits", "math.mininteger", "-(2n ** 63n)", str(-(2**63))),
    told("fractions", "{0.1, -2.5e-10}", "[0.1, -2.5e-10]", "[0.1, -2.5e-10]"),
    told(
        "integral floats",
        "{1.0, 1e15}",
        "[1.0, 1e15]",
        "[1, 1000000000000000]",
        Differs(reason=ONE_NUMBER_TYPE, lua={"value": "[1.0, 1000000000000000.0]"}),
    ),
    told("text", '"ü🌍\\0"', '"ü🌍\\0"', repr("ü🌍\0")),
    told("octets", '"\\255"', "new Uint8Array([255])", "b'\\xff'"),
    told("lists and maps", "{1, {a = {}}}", "[1, { a: [] }]", "[1, {'a': []}]"),
    told("an empty map", "json.object()", "{}", "{}"),
    told("an empty map of its own", 'echo.give("empty map")', 'await echo.give("empty map")', "{}"),
    told("null in a list", "{json.null, 1}", "[null, 1]", "[None, 1]"),
    gives(
        "64 KB go there and back",
        'local s = ("é"):rep(32768) return echo.say(s) == s',
        'const s = "é".repeat(32768); return (await echo.say(s)) === s',
        True,
    ),
    gives(
        "a list of 10000 numbers goes there and back",
        "local t = {} for i = 1, 10000 do t[i] = i / 4 end t = echo.say(t) return {#t, t[9999]}",
        "let t = Array.from({ length: 10000 }, (_, i) => (i + 1) / 4); t = await echo.say(t); "
        "return [t.length, t[9998]]",
        [10000, 2499.75],
    ),
    gives(
        "64 levels go there and back",
        "local t = {} for _ = 1, 62 do t = {t} end t = echo.say(t) "
        "local n = 0 while t do t, n = t[1], n + 1 end return n",
        "let t = []; for (let i = 0; i < 62; i++) t = [t]; t = await echo.say(t); "
        "let n = 0; while (t) { t = t[0]; n++ } return n",
        63,
    ),
    gives(
        "optional arguments can be left out",
        'return {echo.join_two("a"), echo.join_two("a", "b"), echo.join_two("a", "b", 9)}',
        'return [await echo.joinTwo("a"), await echo.joinTwo("a", "b"), '
        'await echo.joinTwo("a", "b", 9)]',
        ["a-?-3", "a-b-3", "a-b-9"],
    ),
    gives(
        "a map of options",
        'return echo.configure({level = 3, mode = "slow", tags = {a = "b"}})',
        'return echo.configure({ level: 3, mode: "slow", tags: { a: "b" } })',
        {"level": 3, "mode": "slow", "tags": {"a": "b"}},
    ),
    gives(
        "an empty table where a map is due",
        "return echo.configure({level = 0, tags = {}})",
        "return echo.configure({ level: 0, tags: {} })",
        {"level": 0, "mode": "fast", "tags": {}},
    ),
    caught(
        "an argument is refused: too many",
        'echo.join_two("a", "b", 3, 4)',
        'await echo.joinTwo("a", "b", 3, 4)',
        Failed(
            kind="Validation",
            message="echo.join_two: takes 1 to 3 arguments: "
            "join_two(first: string, second?: string, third?: integer) -> string",
        ),
    ),
    gives(
        "arguments at the end that are nothing are left out",
        'return {echo.join_two("a", nil), echo.join_two("a", "b", nil)}',
        'return [await echo.joinTwo("a", undefined), await echo.joinTwo("a", "b", undefined)]',
        ["a-?-3", "a-b-3"],
    ),
    gives(
        "a computed number where an integer is due",
        "return echo.configure({level = 6 / 2}).level + #echo.text(10 / 2)",
        "return (await echo.configure({ level: 6 / 2 })).level + (await echo.text(10 / 2)).length",
        8,
    ),
    bad_argument(
        "null where text is due",
        'echo.join_two("a", json.null)',
        'await echo.joinTwo("a", null)',
        "Validation",
        "echo.join_two: second: expected string, got null",
        "second",
    ),
    bad_argument(
        "a fraction where an integer is due",
        "echo.text(1.5)",
        "await echo.text(1.5)",
        "Validation",
        "echo.text: size: expected integer, got number",
        "size",
    ),
    bad_argument(
        "of the wrong type",
        "echo.join_two(5)",
        "await echo.joinTwo(5)",
        "Validation",
        "echo.join_two: first: expected string, got integer",
        "first",
    ),
    bad_argument(
        "a list for a number",
        "for _ in echo.count_badly({1}) do end",
        "for await (const x of echo.countBadly([1]));",
        "Validation",
        "echo.count_badly: to: expected integer, got list",
        "to",
    ),
    bad_argument(
        "an option out of range",
        "echo.configure({level = 10})",
        "await echo.configure({ level: 10 })",
        "Validation",
        "echo.configure: level: expected integer <= 9",
        "level",
    ),
    bad_argument(
        "an option of the wrong type",
        'echo.configure({level = "high"})',
        'await echo.configure({ level: "high" })',
        "Validation",
        "echo.configure: level: expected integer, got string",
        "level",
    ),
    bad_argument(
        "an option that is missing",
        "echo.configure({})",
        "await echo.configure({})",
        "Validation",
        "echo.configure: level: required option 'level' is missing",
        "level",
    ),
    bad_argument(
        "a choice that there is not",
        'echo.configure({level = 1, mode = "warp"})',
        'await echo.configure({ level: 1, mode: "warp" })',
        "Validation",
        'echo.configure: mode: must be "fast" or "slow", not \'warp\'',
        "mode",
    ),
    bad_argument(
        "an option nobody knows",
        "echo.configure({level = 1, moed = 1})",
        "await echo.configure({ level: 1, moed: 1 })",
        "Validation",
        "echo.configure: moed: unknown option 'moed'; did you mean 'mode'?",
        "moed",
    ),
    bad_argument(
        "NaN",
        "echo.say(0 / 0)",
        "await echo.say(NaN)",
        "Conversion",
        "NaN and infinities cannot cross at argument 1",
        "argument 1",
    ),
    bad_argument(
        "a function",
        "echo.say({f = print})",
        "await echo.say({ f: parseInt })",
        "Conversion",
        "a function cannot cross at argument 1.f",
        "argument 1.f",
    ),
    bad_argument(
        "infinity, in the second place",
        'echo.join_two("a", {math.huge})',
        'await echo.joinTwo("a", [Infinity])',
        "Conversion",
        "NaN and infinities cannot cross at argument 2[0]",
        "argument 2[0]",
    ),
    bad_argument(
        "a cycle",
        "local t = {} t.t = t echo.say(t)",
        "const t = {}; t.t = t; await echo.say(t)",
        "Conversion",
        "a value that contains itself cannot cross at argument 1.t",
        "argument 1.t",
    ),
    caught(
        "an argument is refused: over max_request",
        'echo.say(("x"):rep(2000))',
        'await echo.say("x".repeat(2000))',
        Failed(kind="Validation", message="echo.say: 2004 bytes of arguments; the limit is 1000"),
        policy={"max_request": 1000},
    ),
    caught(
        "an answer over max_response",
        "echo.text(2000)",
        "await echo.text(2000)",
        Failed(
            kind="Limit", message="echo.text: the answer is larger than max_response, 1000 bytes"
        ),
        policy={"max_response": 1000},
    ),
    gives(
        "an answer of a megabyte",
        "return #echo.text(1000000)",
        "return (await echo.text(1000000)).length",
        1000000,
    ),
)
