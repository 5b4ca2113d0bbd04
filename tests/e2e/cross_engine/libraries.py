"""`require`: other spells as libraries, each run once, found by the host in granted folders only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.cross_engine.case import Case, Differs, Failed, caught, fails, gives

FOLDER = str(Path(__file__).parent / "library")
GRANTED: dict[str, Any] = {"libraries": (FOLDER,)}


def refusal(name: str, call: str, message: str) -> Case:
    failed = Failed(kind="Validation", message=message, field="name")
    return caught(name, call, f"await {call}", failed, policy=GRANTED)


CASES = (
    gives(
        "a library that has a library",
        'return require("stats").shown(3)',
        'return (await require("stats")).shown(3)',
        "<3>",
        policy=GRANTED,
    ),
    gives(
        "a library is run once, whoever requires it",
        """local a, b = require("counter"), library.require("counter")
        a() b()
        return { a == b, a() }""",
        """const [a, b] = await Promise.all([require("counter"), library.require("counter")]);
        a(); b();
        return [a === b, (await require("counter"))()];""",
        [True, 3],
        policy=GRANTED,
    ),
    gives(
        "a library that returns nothing is run once, too, and has the globals of the spell",
        """local nothing = require("nothing") == nil and require("nothing") == nil
        return { nothing, params.seen }""",
        """const nothing = await require("nothing") === undefined && await require("nothing") === undefined;
        return [nothing, params.seen];""",
        [True, 1],
        policy=GRANTED,
    ),
    fails(
        "an error inside a library names its line there, and the line of the spell",
        'local stats = require("stats")\nstats.broken()',
        'const stats = await require("stats");\nstats.broken()',
        Failed(message="library/stats.*:10: broken on purpose", line=2),
        policy=GRANTED,
    ),
    fails(
        "a library that fails while it is run",
        '\nrequire("fails")',
        '\nawait require("fails")',
        Failed(message="library/fails.*:2: not today", line=2),
        policy=GRANTED,
        differs=Differs(
            reason="a promise does not tell who waits for it",
            js={"failed": Failed(message="library/fails.js:2: not today")},
        ),
    ),
    fails(
        "a library that does not parse",
        '\nrequire("bad")',
        '\nawait require("bad")',
        Failed(message="library/bad.*:2: *", line=2),
        policy=GRANTED,
    ),
    gives(
        "a library that failed is run again for who asks again",
        """local first, second = pcall(require, "fails"), pcall(require, "fails")
        return { first, second, require("stats").shown(1) }""",
        """const again = () => require("fails").then(() => true, () => false);
        return [await again(), await again(), (await require("stats")).shown(1)];""",
        [False, False, "<1>"],
        policy=GRANTED,
    ),
    refusal(
        "libraries that need each other",
        'require("one")',
        "require: libraries that need each other: one -> two -> one",
    ),
    refusal(
        "a library that needs itself",
        'require("own")',
        "require: libraries that need each other: own -> own",
    ),
    gives(
        "two that are left in the middle and finish in another order",
        """local function begin(name) return coroutine.create(function() return require(name) end) end
        local one, two = begin("halves/one"), begin("halves/two")
        coroutine.resume(one) coroutine.resume(two)
        local _, first = coroutine.resume(one)
        local _, second = coroutine.resume(two)
        return { first, second }""",
        """const [two, one] = [require("halves/two"), require("halves/one")];
        return [await one, await two];""",
        ["one", "require: libraries that need each other: halves/two -> halves/two"],
        policy=GRANTED,
    ),
    refusal(
        "no library of that name",
        'require("text/fromat")',
        "require: no library 'text/fromat'; did you mean 'text/format'?",
    ),
    refusal(
        "a path that is no name",
        'require("../secret")',
        "require: a library is named by a-z, 0-9, _, - and /, at most 40",
    ),
    refusal(
        "a library of the wrong type",
        "require(3)",
        "library.require: name: expected string, got integer",
    ),
    caught(
        "a library of another language",
        'require("only_js")',
        'await require("only_lua")',
        Failed(
            kind="Validation",
            message="require: library 'only_js' is for javascript, and this spell is for lua",
            field="name",
        ),
        policy=GRANTED,
        differs=Differs(
            reason="each has its own",
            js={
                "value": {
                    "kind": "Validation",
                    "message": "require: library 'only_lua' is for lua, and this spell is for javascript",
                    "retryable": False,
                    "field": "name",
                    "retry_after": None,
                    "duration": None,
                }
            },
        ),
    ),
    caught(
        "a bridge that is granted, and no folder",
        'require("stats")',
        'await require("stats")',
        Failed(kind="Policy", message="require: no folder of libraries is granted (--library DIR)"),
        policy={"allow_bridges": ("library",)},
    ),
    fails(
        "without a grant there is no require",
        'require("stats")',
        'require("stats")',
        Failed(message="ReferenceError: require is not defined", line=1),
        differs=Differs(
            reason="each language has its own words for its own errors",
            lua={
                "failed": Failed(message="attempt to call a nil value (global 'require')", line=1)
            },
        ),
    ),
    fails(
        "a library counts as a call",
        'require("stats")',
        'await require("stats")',
        Failed(message="the spell made more than 1 calls (limit: max_calls)"),
        verdict="call_limit",
        policy={**GRANTED, "max_calls": 1},
    ),
)
