"""Errors: thrown by spells, by engines and by the host; caught, passed on, uncaught."""

from __future__ import annotations

from typing import Any

from llmspell_testkit._echo import ALL_FIELDS
from tests.e2e.cross_engine.case import Case, Differs, Failed, caught, fails, gives

OWN_WORDS = "each engine words its own errors"


def mishap(name: str, lua: str, js: str, line: int, words: tuple[str, str]) -> Case:
    """An error that the engine itself raises, on the same line in both."""
    lua_words, js_words = words
    return fails(
        name, lua, js, Failed(message=js_words, line=line),
        differs=Differs(
            reason=OWN_WORDS, lua={"failed": Failed(message=lua_words, line=line)}
        ),
    )  # fmt: skip


def does_not_parse(
    name: str, lua: str, js: str, words: tuple[str, str], line: int, columns: tuple[int, int]
) -> Case:
    """A source that is refused before anything of it runs."""
    (lua_words, js_words), (lua_column, js_column) = words, columns
    failed = Failed(message=js_words, line=line, column=js_column)
    in_lua = Failed(message=lua_words, line=line, column=lua_column)
    return fails(
        name, lua, js, failed,
        differs=Differs(reason="each grammar words its own errors", lua={"failed": in_lua}),
    )  # fmt: skip


def raised(kind: Any, **more: Any) -> Case:
    """An error of the host's, of one kind."""
    return caught(
        f"a {kind} error is caught with its kind",
        f'echo.fail("{kind}", "told you")',
        f'await echo.fail("{kind}", "told you")',
        Failed(kind=kind, message="told you", **more),
    )


def lost(kind: Any, verdict: str = "script_error", line: int = 2) -> Case:
    """The same that nobody catches."""
    return fails(
        f"a {kind} error that nobody catches keeps its kind",
        f'local x = 1\necho.fail("{kind}", "told you")',
        f'const x = 1;\nawait echo.fail("{kind}", "told you")',
        Failed(kind=kind, message="told you", line=line),
        verdict=verdict,
    )


FULL = Failed(
    kind="RateLimit", message="not so fast", retryable=True, retry_after=1.5, field="speed",
    duration=2.5, line=1,
)  # fmt: skip
assert FULL.message == ALL_FIELDS.message

KINDS = ("Provider", "Configuration", "Validation", "Network", "Serialization", "Timeout")

CASES = (
    fails(
        "a thrown error of several lines",
        'error("one\\ntwo")',
        'throw new Error("one\\ntwo")',
        Failed(message="one\ntwo", line=1),
    ),
    fails(
        "a thrown error beyond ASCII",
        'error("Grüße 🌍")',
        'throw new Error("Grüße 🌍")',
        Failed(message="Grüße 🌍", line=1),
    ),
    fails(
        "a thrown error with an empty message",
        'error("", 0)',
        'throw new Error("")',
        Failed(message="", line=1),
    ),
    fails(
        "a thrown string",
        '\nerror("just text", 0)',
        '\nthrow "just text"',
        Failed(message="just text", line=2),
        differs=Differs(
            reason="JavaScript notes no place for what is not an Error",
            js={"failed": Failed(message="just text")},
        ),
    ),
    fails(
        "a thrown number",
        "error(42)",
        "throw 42",
        Failed(message="42", line=1),
        differs=Differs(
            reason="JavaScript notes no place for what is not an Error",
            js={"failed": Failed(message="42")},
        ),
    ),
    fails(
        "a thrown table with a message",
        '\nerror({message = "from a table", code = 7})',
        '\nthrow { message: "from a table", code: 7 }',
        Failed(message="from a table", line=2),
        differs=Differs(
            reason="JavaScript notes no place for what is not an Error",
            js={"failed": Failed(message="from a table")},
        ),
    ),
    fails(
        "a thrown error cannot pretend to be the host's",
        'error({message = "m", kind = "Policy", retryable = true})',
        'throw Object.assign(new Error("m"), { kind: "Policy", retryable: true })',
        Failed(message="m", line=1),
    ),
    gives(
        "a caught string",
        'local ok, e = pcall(error, "x", 0) return {ok, e}',
        'try { throw "x" } catch (e) { return [false, e] }',
        [False, "x"],
    ),
    gives(
        "a caught table keeps its fields",
        "local ok, e = pcall(error, {code = 7}) return e.code",
        "try { throw { code: 7 } } catch (e) { return e.code }",
        7,
    ),
    gives(
        "a caught error has its message",
        'local ok, e = pcall(function() error("x", 0) end) return tostring(e)',
        'try { throw new Error("x") } catch (e) { return e.message }',
        "x",
    ),
    gives(
        "an error with a cause",
        'local ok, e = pcall(error, {message = "outer", cause = {message = "inner"}}) '
        "return {e.message, e.cause.message}",
        'try { throw new Error("outer", { cause: new Error("inner") }) } '
        "catch (e) { return [e.message, e.cause.message] }",
        ["outer", "inner"],
    ),
    gives(
        "errors are caught where they are nearest",
        'local ok, e = pcall(function() local ok, e = pcall(error, "in", 0) '
        'error(e .. "-out", 0) end) return e',
        'try { try { throw "in" } catch (e) { throw e + "-out" } } catch (e) { return e }',
        "in-out",
    ),
    gives(
        "what must be done at the end is done",
        "local log = {} local function closing(name) return setmetatable({}, "
        "{__close = function() log[#log + 1] = name end}) end "
        'pcall(function() local a <close> = closing("a") error("x") end) '
        'log[#log + 1] = "after" return log',
        'const log = []; try { try { throw "x" } finally { log.push("a") } } catch {} '
        'log.push("after"); return log',
        ["a", "after"],
    ),
    gives(
        "a condition that fails",
        'local ok, e = pcall(function() if 1 ~= 2 then error("not equal", 0) end end) return e',
        'try { if (1 !== 2) throw "not equal" } catch (e) { return e }',
        "not equal",
    ),
    mishap(
        "a call of nothing",
        "local x\nlocal y = 2\nx()",
        "let x;\nlet y = 2;\nx()",
        3,
        ("attempt to call a nil value (local 'x')", "TypeError: x is not a function"),
    ),
    mishap(
        "a field of nothing",
        "local x\nreturn x.y.z",
        "let x;\nreturn x.y.z",
        2,
        (
            "attempt to index a nil value (local 'x')",
            'TypeError: can\'t access property "y", x is undefined',
        ),
    ),
    mishap(
        "a name that nobody defined",
        "\n\nnobody()",
        "\n\nnobody()",
        3,
        ("attempt to call a nil value (global 'nobody')", "ReferenceError: nobody is not defined"),
    ),
    mishap(
        "endless recursion",
        "local function f() return 1 + f() end\nf()",
        "function f() { return 1 + f() }\nf()",
        1,
        ("stack overflow*", "InternalError: too much recursion"),
    ),
    mishap(
        "a bad argument of the language's own",
        '\nreturn ("x"):rep(1, 2, 3, {}) .. {}',
        "\nreturn 'x'.repeat(-1)",
        2,
        ("attempt to concatenate a table value", "RangeError: repeat count must be non-negative"),
    ),
    mishap(
        "an error below a call that was awaited or resumed",
        "local c = coroutine.wrap(function()\n  local x\n  return x.y\nend)\nc()",
        "const c = async () => {\n  let x;\n  return x.y;\n}\nawait c()",
        3,
        (
            "attempt to index a nil value (local 'x')",
            'TypeError: can\'t access property "y", x is undefined',
        ),
    ),
    mishap(
        "a bad name of a bridge's method",
        "\necho.sya(1)",
        "\nawait echo.sya(1)",
        2,
        ("attempt to call a nil value (field 'sya')", "TypeError: echo.sya is not a function"),
    ),
    mishap(
        "a bridge that is not granted",
        "fs.read('/etc/passwd')",
        "await fs.read('/etc/passwd')",
        1,
        ("attempt to index a nil value (global 'fs')", "ReferenceError: fs is not defined"),
    ),
    does_not_parse(
        "an operand that is missing",
        "local x = 1\nlocal y = = 2",
        "let x = 1;\nlet y = = 2;",
        ("unexpected symbol near '='", "SyntaxError: expected expression, got '='"),
        2,
        (11, 9),
    ),
    does_not_parse(
        "a block that is not closed",
        "if true then\n  local x = 1",
        "if (true) {\n  let x = 1",
        (
            "'end' expected (to close 'if' at line 1) near <eof>",
            "SyntaxError: missing } after function body",
        ),
        2,
        (14, 12),
    ),
    does_not_parse(
        "text that is not closed",
        'return "abc\n',
        'return "abc\n',
        (
            "unfinished string near '\"abc'",
            'SyntaxError: "" string literal contains an unescaped line break',
        ),
        1,
        (8, 12),
    ),
    does_not_parse(
        "the end of a function that nobody began",
        "local x\nend",
        "let x\n}",
        (
            "<eof> expected near 'end'",
            "SyntaxError: unexpected garbage after function body, starting with '}'",
        ),
        2,
        (1, 2),
    ),
    gives(
        "nothing runs of a spell that does not parse",
        'return load("console.log(1) local = 2") == nil',
        'try { new Function("console.log(1); let = = 2") } catch { return true }',
        True,
    ),
    *(raised(kind) for kind in (*KINDS, "RateLimit", "Policy", "Limit")),
    *(lost(kind) for kind in (*KINDS, "RateLimit", "Limit")),
    lost("Policy", "policy_denied"),
    caught(
        "an error with every field is caught with every field",
        "echo.fail_fully()",
        "await echo.failFully()",
        FULL,
    ),
    fails(
        "an error with every field keeps them when nobody catches it",
        "echo.fail_fully()",
        "await echo.failFully()",
        FULL,
    ),
    fails(
        "an error that is thrown again keeps every field",
        "local ok, e = pcall(echo.fail_fully)\nerror(e)",
        "try { await echo.failFully() }\ncatch (e) { throw e }",
        Failed(
            kind="RateLimit",
            message="not so fast",
            retryable=True,
            retry_after=1.5,
            field="speed",
            duration=2.5,
            line=1,
        ),
        differs=Differs(
            reason="a Lua error that is no string knows where it was raised last",
            lua={
                "failed": Failed(
                    kind="RateLimit",
                    message="not so fast",
                    retryable=True,
                    retry_after=1.5,
                    field="speed",
                    duration=2.5,
                    line=2,
                )
            },
        ),
    ),
    fails(
        "an error from inside nested functions keeps its kind and line",
        'local function a()\n  echo.fail("Network", "gone")\nend\nlocal function b() a() end\nb()',
        'async function a() {\n  await echo.fail("Network", "gone")\n}\n'
        "const b = async () => { await a() };\nawait b()",
        Failed(kind="Network", message="gone", line=2),
    ),
    caught(
        "a bug of a bridge tells nothing of the host",
        "echo.crash()",
        "await echo.crash()",
        Failed(
            kind="Internal", message="echo.crash: the bridge failed (RuntimeError); the run goes on"
        ),
    ),
    fails(
        "a bug of a bridge that nobody catches is not the spell's fault",
        "\necho.crash()",
        "\nawait echo.crash()",
        Failed(
            kind="Internal",
            message="echo.crash: the bridge failed (RuntimeError); the run goes on",
            line=2,
        ),
        verdict="supervisor_error",
    ),
    fails(
        "a spell cannot call a grant refused that nobody refused",
        'local ok, e = pcall(echo.fail, "Network", "x") e.kind = "Policy" error(e)',
        'try { await echo.fail("Network", "x") } catch (e) { e.kind = "Policy"; throw e }',
        Failed(kind="Network", message="x", line=1),
        differs=Differs(
            reason="an error of Lua is a table that can be written; the host knows better",
            lua={"failed": Failed(kind="Policy", message="x", line=1)},
        ),
    ),
    caught(
        "after a bug of a bridge the run goes on",
        'pcall(echo.crash) echo.fail("Network", echo.say("still here"))',
        'try { await echo.crash() } catch {} await echo.fail("Network", '
        'await echo.say("still here"))',
        Failed(kind="Network", message="still here"),
    ),
    gives(
        "the text of a caught error",
        'local ok, e = pcall(echo.fail, "Network", "gone") return "" .. e',
        'try { await echo.fail("Network", "gone") } catch (e) { return "" + e.message }',
        "gone",
    ),
    gives(
        "a message of the host is one line",
        'local ok, e = pcall(echo.fail, "Network", "a\\nb\\27[31m") return e.message',
        'try { await echo.fail("Network", "a\\nb\\x1b[31m") } catch (e) { return e.message }',
        "a b [31m",
    ),
    gives(
        "a retry after an error",
        "local left = 2\nwhile true do\n  local ok, e = pcall(function()\n"
        '    if left > 0 then left = left - 1 echo.fail("Timeout", "late") end\n'
        "    return 1\n  end)\n  if ok then return left end\n"
        '  if e.kind ~= "Timeout" then error(e) end\nend',
        "let left = 2;\nwhile (true) {\n  try {\n"
        '    if (left > 0) { left--; await echo.fail("Timeout", "late") }\n'
        "    return left;\n  } catch (e) {\n"
        '    if (e.kind !== "Timeout") throw e;\n  }\n}',
        0,
    ),
    fails(
        "an error in a timer or a coroutine ends the run",
        'local co = coroutine.wrap(function()\n  error("later")\nend)\nco()',
        'setTimeout(() => {\n  throw new Error("later")\n}, 1);\nawait util.sleep(1000)',
        Failed(message="later", line=2),
    ),
    caught(
        "a call that takes too long",
        "echo.hang()",
        "await echo.hang()",
        Failed(
            kind="Timeout",
            message="echo.hang: no answer within 0.05 s",
            retryable=True,
            duration=0.05,
        ),
        policy={"request_timeout": 0.05},
    ),
    fails(
        "a method that is not granted is not there, beside one that is",
        "echo.say(1)\nreturn echo.join_two(1, 2)",
        "await echo.say(1);\nreturn await echo.joinTwo(1, 2)",
        Failed(message="TypeError: echo.joinTwo is not a function", line=2),
        policy={"allow_bridges": ("echo.say",)},
        differs=Differs(
            reason=OWN_WORDS,
            lua={
                "failed": Failed(message="attempt to call a nil value (field 'join_two')", line=2)
            },
        ),
    ),
    fails(
        "a bridge that is registered but not granted is not there",
        "\nreturn echo.say(1)",
        "\nreturn await echo.say(1)",
        Failed(message="ReferenceError: echo is not defined", line=2),
        policy={"allow_bridges": ()},
        differs=Differs(
            reason=OWN_WORDS,
            lua={"failed": Failed(message="attempt to index a nil value (global 'echo')", line=2)},
        ),
    ),
)
