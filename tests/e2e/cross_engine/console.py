"""What a spell writes to the console."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Case, Differs, gives


def shows(name: str, lua: str, js: str, *logs: str, differs: Differs | None = None) -> Case:
    """One call of `console.log` with arguments, and what is to be read."""
    entries = tuple(f"log: {line}" for line in logs)
    return gives(name, f"console.log({lua})", f"console.log({js})", logs=entries, differs=differs)


CASES = (
    gives(
        "each level by its name",
        'console.debug("a") console.info("b") console.log("c") console.warn("d") '
        'console.error("e") console.write("f")',
        'console.debug("a"); console.info("b"); console.log("c"); console.warn("d"); '
        'console.error("e"); console.write("f")',
        logs=("debug: a", "info: b", "log: c", "warn: d", "error: e", "write: f"),
    ),
    shows("nothing at all", "", "", ""),
    shows("text as it is", '"a \\"b\\" ü🌍"', '"a \\"b\\" ü🌍"', 'a "b" ü🌍'),
    shows("several arguments with a space between", '"a", 1, true', '"a", 1, true', "a 1 true"),
    shows("several lines in one entry", '"a\\nb"', '"a\\nb"', "a\nb"),
    shows("numbers", "1, -2, 0.5, 1e300", "1, -2, 0.5, 1e300", "1 -2 0.5 1e+300"),
    shows(
        "nothing",
        "nil",
        "undefined",
        "nil",
        differs=Differs(
            reason="each language has its own word for nothing", js={"logs": ("log: undefined",)}
        ),
    ),
    shows("null", "json.null", "null", "null"),
    shows("a list", '{1, "two", {3}}', '[1, "two", [3]]', '[1,"two",[3]]'),
    shows(
        "a map",
        '{a = 1, ["b c"] = {d = "x"}}',
        '{ a: 1, "b c": { d: "x" } }',
        '{"a":1,"b c":{"d":"x"}}',
    ),
    shows("an empty list", "{}", "[]", "[]"),
    shows("an empty map", "json.object()", "{}", "{}"),
    shows("null inside", "{json.null, 1}", "[null, 1]", "[null,1]"),
    gives(
        "depth is cut",
        "local t = {} for _ = 1, 30 do t = {{a = t}} end console.log(t)",
        "let t = []; for (let i = 0; i < 30; i++) t = [{ a: t }]; console.log(t)",
        logs=("log: " + '[{"a":' * 4 + "[...]" + "}]" * 4,),
    ),
    shows("text inside is quoted", '{"a\\n\\"b\\""}', '["a\\n\\"b\\""]', '["a\\n\\"b\\""]'),
    gives(
        "a caught error",
        'local ok, e = pcall(echo.fail, "Network", "gone") console.log(e)',
        'try { await echo.fail("Network", "gone") } catch (e) { console.log(e.message) }',
        logs=("log: gone",),
    ),
    shows(
        "an answer of the host",
        'echo.give("map")',
        'await echo.give("map")',
        '{"a":1,"b c":{"d":null}}',
    ),
    gives(
        "the environment and parameters can be looked at",
        "console.log(params, env)",
        "console.log(params, env)",
        params={"a": 1},
        environment={"CROSS_ENGINE": "x"},
        policy={"allow_env": ("CROSS_ENGINE",)},
        logs=('log: {"a":1} {"CROSS_ENGINE":"x"}',),
    ),
    gives(
        "a hundred entries arrive in order",
        "for i = 1, 100 do console.log(i) end",
        "for (let i = 1; i <= 100; i++) console.log(i)",
        logs=tuple(f"log: {i}" for i in range(1, 101)),
    ),
    gives(
        "a very long entry is cut",
        'console.log(("x"):rep(40000))',
        'console.log("x".repeat(40000))',
        logs=("log: " + "x" * 32768 + "... (cut)",),
    ),
    gives(
        "what was written before an error is kept",
        'console.log("before") pcall(error, "x") console.warn("after") return 1',
        'console.log("before"); try { throw 1 } catch {} console.warn("after"); return 1',
        1,
        logs=("log: before", "warn: after"),
    ),
    gives(
        "a cycle is written as one",
        "local t = {} t.t = t console.log(t)",
        "const t = {}; t.t = t; console.log(t)",
        logs=('log: {"t":[Circular]}',),
    ),
    gives(
        "functions are no text",
        "console.log(print, {print})",
        "console.log(parseInt, [parseInt])",
        logs=("log: [Function] [[Function]]",),
    ),
)
