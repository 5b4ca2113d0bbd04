"""What a spell returns."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Differs, Failed, fails, gives, refused

ONE_NUMBER_TYPE = "JavaScript has one type of number, and an integral one arrives as an integer"

NESTED_64: list[object] = []
for _ in range(63):
    NESTED_64 = [NESTED_64]

TOO_HEAVY = (
    "a value that weighs more than 102328 cannot cross (a number 1, text 8, a list or map 24 and "
    "what is in it); send it in parts or as JSON text"
)

NOT_UNICODE = Failed(
    kind="Conversion",
    message='text that is not valid Unicode cannot cross at $["\\ud800"]',
    field='$["\\ud800"]',
)

CASES = (
    gives("a bare return is null", "return", "return", None),
    gives("nil and undefined are null", "return nil", "return undefined", None),
    gives("zero", "return 0", "return 0", 0),
    gives("a small negative integer", "return -1", "return -1", -1),
    gives("one byte of integer", "return 255", "return 255", 255),
    gives("two bytes of integer", "return -32769", "return -32769", -32769),
    gives("four bytes of integer", "return 4294967296", "return 4294967296", 4294967296),
    gives(
        "the smallest safe integer",
        "return -9007199254740991",
        "return -9007199254740991",
        -(2**53) + 1,
    ),
    gives(
        "the largest integer of 64 bits",
        "return math.maxinteger",
        "return 9223372036854775807n",
        2**63 - 1,
    ),
    gives("an integer beyond 2^53", "return (1 << 53) + 1", "return 2n ** 53n + 1n", 2**53 + 1),
    gives("a division with a remainder", "return 7 / 2", "return 7 / 2", 3.5),
    gives(
        "the largest float",
        "return 1.7976931348623157e308",
        "return 1.7976931348623157e308",
        1.7976931348623157e308,
    ),
    gives("an integral float beyond 2^53 stays a float", "return 1e16", "return 1e16", 1e16),
    gives(
        "an integral float",
        "return 1.0",
        "return 1.0",
        1,
        differs=Differs(reason=ONE_NUMBER_TYPE, lua={"value": 1.0}),
    ),
    refused("infinity", "return math.huge", "return Infinity", "NaN and infinities cannot cross"),
    refused("-infinity", "return -1 / 0", "return -1 / 0", "NaN and infinities cannot cross"),
    refused(
        "NaN inside says where",
        "return {a = {1, 0 / 0}}",
        "return { a: [1, NaN] }",
        "NaN and infinities cannot cross at $.a[1]",
        "$.a[1]",
    ),
    refused(
        "a path with a key that is no name",
        'return {["b c"] = {[""] = math.huge}}',
        'return { "b c": { "": Infinity } }',
        'NaN and infinities cannot cross at $["b c"][""]',
        '$["b c"][""]',
    ),
    gives("an empty string", 'return ""', 'return ""', ""),
    gives("ASCII text", 'return "hello"', 'return "hello"', "hello"),
    gives(
        "text beyond ASCII",
        'return "Grüße, naïve 日本"',
        'return "Grüße, naïve 日本"',
        "Grüße, naïve 日本",
    ),
    gives(
        "text beyond 16 bits",
        'return "\\u{1F30D}" .. "🌍"',
        'return "\\u{1F30D}" + "🌍"',
        "🌍🌍",
    ),
    gives("a NUL before text", 'return "\\0b"', 'return "\\0b"', "\0b"),
    gives(
        "text that looks like a mark of the wire",
        'return {"\\0sx", "\\0b", "\\0i5", "\\0"}',
        'return ["\\0sx", "\\0b", "\\0i5", "\\0"]',
        ["\0sx", "\0b", "\0i5", "\0"],
    ),
    gives(
        "31 and 32 bytes of text",
        'return {("x"):rep(31), ("x"):rep(32)}',
        'return ["x".repeat(31), "x".repeat(32)]',
        ["x" * 31, "x" * 32],
    ),
    gives("64 KB of text", 'return ("x"):rep(65536)', 'return "x".repeat(65536)', "x" * 65536),
    gives(
        "control characters and quotes",
        'return "\\t\\"\\\\\\127\\r\\n"',
        'return "\\t\\"\\\\\\x7f\\r\\n"',
        '\t"\\\x7f\r\n',
    ),
    gives(
        "separators of lines and a byte order mark",
        'return "\\u{2028}\\u{2029}\\u{FEFF}"',
        'return "\\u2028\\u2029\\uFEFF"',
        "\u2028\u2029\ufeff",
    ),
    gives(
        "no bytes",
        'return ""',
        "return new Uint8Array(0)",
        b"",
        differs=Differs(reason="in Lua that is the empty string", lua={"value": ""}),
    ),
    fails(
        "text that is not valid Unicode in a key",
        'return {["\\255"] = 1}',
        'return { "\\ud800": 1 }',
        NOT_UNICODE,
        differs=Differs(
            reason="what is not valid is an octet in Lua and half a character in JavaScript",
            lua={
                "failed": Failed(
                    kind="Conversion",
                    message='text that is not valid Unicode cannot cross at $["\ufffd"]',
                    field='$["\ufffd"]',
                )
            },
        ),
    ),
    gives("an empty list", "return {}", "return []", []),
    gives("an empty map", "return json.object()", "return {}", {}),
    gives(
        "an empty map that nobody marked",
        "return {a = {}}",
        "return { a: {} }",
        {"a": {}},
        differs=Differs(
            reason="an empty Lua table is a list unless `json.object` marks it",
            lua={"value": {"a": []}},
        ),
    ),
    gives("a list", "return {1, 2, 3}", "return [1, 2, 3]", [1, 2, 3]),
    gives(
        "a list of everything",
        'return {1, -0.5, "x", true, json.null, {1}, {a = 1}}',
        'return [1, -0.5, "x", true, null, [1], { a: 1 }]',
        [1, -0.5, "x", True, None, [1], {"a": 1}],
    ),
    gives(
        "null in a list",
        "return {json.null, 1, json.null}",
        "return [null, 1, null]",
        [None, 1, None],
    ),
    gives(
        "lists in lists",
        "return {{}, {{}}, {{1}, {2}}}",
        "return [[], [[]], [[1], [2]]]",
        [[], [[]], [[1], [2]]],
    ),
    gives(
        "16 elements",
        "local t = {} for i = 1, 16 do t[i] = i end return t",
        "return Array.from({ length: 16 }, (_, i) => i + 1)",
        list(range(1, 17)),
    ),
    gives(
        "70000 elements",
        "local t = {} for i = 1, 70000 do t[i] = 1 end return t",
        "return new Array(70000).fill(1)",
        [1] * 70000,
    ),
    gives(
        "a list with a hole",
        "return {1, nil, 3}",
        "return [1, , 3]",
        [1, None, 3],
        differs=Differs(
            reason="a Lua table does not know its length where there are holes",
            lua={
                "value": None,
                "verdict": "script_error",
                "failed": Failed(
                    kind="Conversion",
                    message="a list with holes cannot cross; fill them with null",
                    field="$",
                ),
            },
        ),
    ),
    gives("a map", 'return {a = 1, b = "x"}', 'return { a: 1, b: "x" }', {"a": 1, "b": "x"}),
    gives("null in a map", "return {a = json.null}", "return { a: null }", {"a": None}),
    gives(
        "what is undefined is left out of a map",
        "return {a = 1, b = nil}",
        "return { a: 1, b: undefined }",
        {"a": 1},
    ),
    gives(
        "keys of every kind of text",
        'return {[""] = 1, ["ü"] = 2, ["🌍"] = 3, ["a b"] = 4, ["\\0"] = 5, ["__proto__"] = 6}',
        'return { "": 1, "ü": 2, "🌍": 3, "a b": 4, "\\0": 5, ["__proto__"]: 6 }',
        {"": 1, "ü": 2, "🌍": 3, "a b": 4, "\0": 5, "__proto__": 6},
    ),
    gives(
        "keys that look like numbers",
        'return {["1"] = "a", ["2"] = "b"}',
        'return { 1: "a", 2: "b" }',
        {"1": "a", "2": "b"},
    ),
    gives(
        "a map of maps",
        "return {a = {b = {c = {}}, d = 1}}",
        "return { a: { b: { c: [] }, d: 1 } }",
        {"a": {"b": {"c": []}, "d": 1}},
    ),
    gives(
        "the same table twice is no cycle",
        "local t = {1} return {t, t}",
        "const t = [1]; return [t, t]",
        [[1], [1]],
    ),
    refused(
        "a cycle",
        "local t = {} t[1] = t return t",
        "const t = []; t[0] = t; return t",
        "a value that contains itself cannot cross at $[0]",
        "$[0]",
    ),
    refused(
        "a longer cycle",
        "local a = {b = {}} a.b.c = {a} return a",
        "const a = { b: {} }; a.b.c = [a]; return a",
        "a value that contains itself cannot cross at $.b.c[0]",
        "$.b.c[0]",
    ),
    gives(
        "64 levels",
        "local t = {} for _ = 1, 63 do t = {t} end return t",
        "let t = []; for (let i = 0; i < 63; i++) t = [t]; return t",
        NESTED_64,
    ),
    refused(
        "65 levels",
        "local t = {} for _ = 1, 64 do t = {t} end return t",
        "let t = []; for (let i = 0; i < 64; i++) t = [t]; return t",
        "nesting deeper than 64 levels cannot cross at $" + "[0]" * 64,
        "$" + "[0]" * 64,
    ),
    refused("a function", "return print", "return parseInt", "a function cannot cross"),
    refused(
        "a function inside",
        "return {a = {function() end}}",
        "return { a: [() => 1] }",
        "a function cannot cross at $.a[0]",
        "$.a[0]",
    ),
    refused(
        "too many elements",
        "local t = {} for i = 1, 102400 do t[i] = true end return t",
        "return new Array(102400).fill(true)",
        TOO_HEAVY,
    ),
    refused(
        "too many elements in all",
        "local t = {} for i = 1, 60000 do t[i] = 1 end return {a = {t, {b = t}}}",
        "const t = new Array(60000).fill(1); return { a: [t, { b: t }] }",
        f"{TOO_HEAVY} at $.a[1].b",
        "$.a[1].b",
    ),
    gives("only the first of several values is returned", "return 1, 2", "return 1", 1),
    gives(
        "a list that its length does not count from is what its items are",
        "local t = setmetatable({1, 2}, {__len = function() return 9 end}) return t",
        "class L extends Array {}; return L.of(1, 2)",
        [1, 2],
    ),
    gives(
        "hidden methods are not data",
        "return setmetatable({x = 1}, {__index = {y = 2}})",
        "class P { x = 1; get y() { return 2 } }; return new P()",
        {"x": 1},
    ),
)
