"""`json`: one implementation, reached from both languages."""

from __future__ import annotations

from typing import Any

from tests.e2e.cross_engine.case import Case, Differs, Failed, caught, gives


def encoded(name: str, lua: str, js: str, text: str, **more: Any) -> Case:
    return gives(f"encode {name}", f"return json.encode({lua})", f"return json.encode({js})", text,
                 **more)  # fmt: skip


def decoded(name: str, text: str, value: Any, **more: Any) -> Case:
    return gives(f"decode {name}", "return json.decode(params.text)",
                 "return json.decode(params.text)", value, params={"text": text}, **more)  # fmt: skip


def malformed(name: str, text: str, message: str) -> Case:
    return caught(f"decode refuses {name}", "json.decode(params.text)",
                  "json.decode(params.text)", Failed(kind="Serialization", message=message),
                  params={"text": text})  # fmt: skip


CASES = (
    encoded(
        "with sorted keys",
        '{b = 1, a = 2, ["ü"] = 3, Z = 4}',
        "{ b: 1, a: 2, ü: 3, Z: 4 }",
        '{"Z":4,"a":2,"b":1,"ü":3}',
    ),
    encoded("null", "nil", "null", "null"),
    encoded(
        "nested data",
        '{a = {1, {b = json.null}}, c = "x"}',
        '{ a: [1, { b: null }], c: "x" }',
        '{"a":[1,{"b":null}],"c":"x"}',
    ),
    encoded("text beyond ASCII as it is", '"ü🌍\\n\\0\\""', '"ü🌍\\n\\0\\""', '"ü🌍\\n\\u0000\\""'),
    encoded(
        "integral floats as integers",
        "{1.0, 2.5, 1e15}",
        "[1.0, 2.5, 1e15]",
        "[1,2.5,1000000000000000]",
    ),
    encoded(
        "integers of 64 bits",
        "{math.maxinteger, math.mininteger}",
        "[2n ** 63n - 1n, -(2n ** 63n)]",
        "[9223372036854775807,-9223372036854775808]",
    ),
    encoded("an empty list and an empty map", "{{}, json.object()}", "[[], {}]", "[[],{}]"),
    encoded(
        "pretty",
        "{b = {1, 2}, a = 1}, {pretty = true}",
        "{ b: [1, 2], a: 1 }, { pretty: true }",
        '{\n  "a": 1,\n  "b": [\n    1,\n    2\n  ]\n}',
    ),
    encoded(
        "pretty with four spaces",
        "{a = {}}, {pretty = true, indent = 4}",
        "{ a: [] }, { pretty: true, indent: 4 }",
        '{\n    "a": []\n}',
    ),
    caught(
        "encode refuses octets",
        'json.encode({x = "\\255"})',
        "json.encode({ x: new Uint8Array([255]) })",
        Failed(
            kind="Serialization",
            message="JSON cannot hold binary data at $.x; see util.base64_encode",
        ),
    ),
    caught(
        "encode refuses NaN",
        "json.encode({0 / 0})",
        "json.encode([NaN])",
        Failed(
            kind="Conversion",
            message="NaN and infinities cannot cross at argument 1[0]",
            field="argument 1[0]",
        ),
    ),
    caught(
        "encode refuses an option that nobody knows",
        "json.encode(1, {prety = true})",
        "json.encode(1, { prety: true })",
        Failed(
            kind="Validation",
            field="prety",
            message="json.encode: prety: unknown option 'prety'; did you mean 'pretty'?",
        ),
    ),
    decoded(
        "every type",
        '{"n":null,"b":true,"i":-3,"f":0.5,"s":"x","l":[1],"m":{"k":{}}}',
        {"n": None, "b": True, "i": -3, "f": 0.5, "s": "x", "l": [1], "m": {"k": {}}},
    ),
    decoded("a scalar", " 42 ", 42),
    decoded("escapes", '"\\u00fc\\ud83c\\udf0d\\n\\/"', "ü🌍\n/"),
    decoded("an integer of 64 bits", "9223372036854775807", 2**63 - 1),
    decoded(
        "an integral float",
        "2.0",
        2,
        differs=Differs(reason="JavaScript has one type of number", lua={"value": 2.0}),
    ),
    decoded("an empty map", "{}", {}),
    decoded("an empty list", "[]", []),
    decoded(
        "a key that is special in JavaScript", '{"__proto__":{"x":1}}', {"__proto__": {"x": 1}}
    ),
    gives(
        "decode null",
        'return {json.decode("null") == nil, json.decode("[null]")[1] == json.null}',
        'return [json.decode("null") === null, json.decode("[null]")[0] === json.null]',
        [True, True],
    ),
    gives(
        "what is encoded and decoded is the same",
        "return json.decode(json.encode(params))",
        "return json.decode(json.encode(params))",
        {"a": [1, 0.5, None, {"b": "ü"}], "c": {}},
        params={"a": [1, 0.5, None, {"b": "ü"}], "c": {}},
    ),
    malformed("a missing value", '{"a": }', "not valid JSON, line 1 column 7: invalid character"),
    malformed(
        "an error on the second line",
        '{"a": 1,\n "b": x}',
        "not valid JSON, line 2 column 7: invalid character",
    ),
    malformed(
        "text that ends too early",
        "[1, 2",
        "not valid JSON, line 1 column 6: the text ends too early",
    ),
    malformed(
        "something after the end", "{} x", "not valid JSON, line 1 column 4: trailing characters"
    ),
    malformed("no text at all", "", "not valid JSON, line 1 column 1: the text ends too early"),
    malformed(
        "a number out of range", "1e999", "not valid JSON, line 1 column 6: number out of range"
    ),
    malformed(
        "an integer out of range", "9223372036854775808", "the text holds a number out of range"
    ),
    malformed("65 levels", "[" * 65 + "]" * 65, "the text nests deeper than 64 levels"),
    caught(
        "decode refuses what is no text",
        "json.decode(5)",
        "json.decode(5)",
        Failed(
            kind="Validation",
            field="text",
            message="json.decode: text: expected string, got integer",
        ),
    ),
    malformed(
        "a comma too many", "[1,]", "not valid JSON, line 1 column 4: trailing comma in array"
    ),
    decoded("the last of two values of one key", '{"a":1,"a":2}', {"a": 2}),
    encoded(
        "floats as short as they can be",
        "{0.1 + 0.2, 1e21, -0.0, 1e-7}",
        "[0.1 + 0.2, 1e21, -0, 1e-7]",
        "[0.30000000000000004,1e21,0,1e-7]",
    ),
)
