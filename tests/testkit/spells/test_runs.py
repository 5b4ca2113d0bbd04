"""Tests of spells, run: one run of all that is here, in both languages, looked at from many sides."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from llmspell_supervisor import Config, Policy
from llmspell_testkit.spells._find import find
from llmspell_testkit.spells._session import Options, Totals, run_tests
from llmspell_testkit.spells._types import Outcome

LANGUAGES: Final = ("lua", "js")

SPELLS: Final = {
    "greet.lua": 'console.log("Hello, " .. (params.name or env.NAME or "world") .. "!")\nreturn 7',
    "greet.js": "console.log(`Hello, ${params.name ?? env.NAME ?? 'world'}!`);\nreturn 7;",
    "fetch.lua": """
        local ok, got = pcall(function() return http.get("https://example.com/") end)
        if not ok and type(got) == "string" then return {message = got} end
        if not ok then return {kind = got.kind, message = got.message} end
        return got.body
    """,
    "fetch.js": """
        try { return (await http.get("https://example.com/")).body; }
        catch (e) { return {kind: e.kind, message: e.message}; }
    """,
    "chance.lua": """
        util.sleep(20000)
        return {math.random(1000000), util.uuid(), os.time(), util.time()}
    """,
    "chance.js": """
        await util.sleep(20000);
        return [Math.floor(Math.random() * 1e6), util.uuid(), Date.now(), util.time()];
    """,
    "remember.lua": """
        memory.append("seen", params.word)
        return memory.history("seen")
    """,
    "remember.js": """
        await memory.append("seen", params.word);
        return await memory.history("seen");
    """,
    "wrong.lua": 'local x = 1\nerror("no luck")',
    "wrong.js": 'const x = 1;\nthrow new Error("no luck");',
}

TESTS: Final = {
    "lua": """\
spell "greet.lua"
local kept = 0

describe("greeting", function()
  before_each(function() console.log("before all of the group") end)
  describe("by name", function()
    before_each(function() console.log("before") end)
    after_each(function() console.log("after") end)
    test("works", function()
      kept = kept + 1
      local report = run_spell { params = { name = "Ada" } }
      expect(report.output).to_equal("Hello, Ada!\\n")
      expect(report.value).to_be(7)
      expect(report.logs).to_equal({ { level = "log", text = "Hello, Ada!" } })
    end)
    test("is not always right", function()
      expect(run_spell { params = { name = "Ada" } }.output).to_equal("Hello, Bob!\\n")
    end)
  end)
end)

test("each test has a worker of its own", function()
  expect(kept).to_be(0)
  kept = kept + 1
end)
test("each test has a worker of its own, again", function()
  expect(kept).to_be(0)
  kept = kept + 1
end)
skip("not now", function() error("it was run") end)
test("an error", function()
  error("boom")
end)
test("a variable of its environment", function()
  expect(run_spell { env = { NAME = "Eve" } }.output).to_contain("Eve")
  expect(run_spell().output).never.to_contain("Eve")
end)
test("a call that is answered in its place", function()
  fake("http.get", { status = 200, body = "first" }, { status = 200, body = "second" })
  expect(run_spell { spell = "fetch.lua" }.value).to_be("first")
  local report = run_spell { spell = "fetch.lua" }
  expect(report.calls[1].method).to_be("http.get")
  expect(report.calls[1].args).to_equal({ "https://example.com/" })
end)
test("a call that fails as it is told to", function()
  fake("http.get", fault("Network", "unplugged"))
  local report = run_spell { spell = "fetch.lua" }
  expect(report.value).to_equal({ kind = "Network", message = "unplugged" })
end)
test("what nobody granted is not there", function()
  expect(run_spell { spell = "fetch.lua" }.ok).to_be(true)
  expect(run_spell { spell = "fetch.lua" }.value.kind).to_be_nil()
  expect(llm).to_be_nil()
end)
test("chances, clock and sleeps", function()
  local options = { spell = "chance.lua", seed = 7, clock = 1000, speed = 1000000 }
  local first, second = run_spell(options), run_spell(options)
  expect(first.ok).to_be(true)
  expect(first.value).to_equal(second.value)
  expect(first.value[3]).to_be_close_to(1020, 1)
  options.seed = 8
  expect(run_spell(options).value[2]).never.to_be(first.value[2])
end)
test("how it ends", function()
  local report = run_spell { spell = "wrong.lua" }
  expect(report.verdict).to_be("script_error")
  expect(report.problem.message).to_be("no luck")
  expect(report.problem.line).to_be(2)
end)
for _, word in ipairs({ "first", "second" }) do
  test("what a spell keeps is its test's own: " .. word, function()
    run_spell { spell = "remember.lua", params = { word = word } }
    local report = run_spell { spell = "remember.lua", params = { word = word } }
    expect(report.value).to_equal({ word, word })
  end)
end
test("a text that no message can show whole", function()
  expect(("\\xC3\\xA9"):rep(100)).to_be("\\xff")
end)
test("outside", function()
  run_spell { spell = "/etc/passwd" }
end)
test("unknown option", function()
  run_spell { parms = {} }
end)
test("raises", function()
  expect(function() error("bad luck") end).to_raise("bad")
  expect(function() end).never.to_raise()
  expect(function() error("bad luck") end).to_raise("good")
end)
test("too long", function()
  while true do end
end)
test("lists that are unlike", function()
  expect({ 1, { a = 2 } }).to_equal({ 1, { a = 3 } })
end)
test("a colon where a dot is due", function()
  expect(1):to_be(1)
end)
""",
    "js": """\
spell("greet.js");
let kept = 0;

describe("greeting", () => {
  beforeEach(() => console.log("before all of the group"));
  describe("by name", () => {
    beforeEach(async () => { await util.sleep(0); console.log("before"); });
    afterEach(() => console.log("after"));
    test("works", async () => {
      kept++;
      const report = await runSpell({params: {name: "Ada"}});
      expect(report.output).toEqual("Hello, Ada!\\n");
      expect(report.value).toBe(7);
      expect(report.logs).toEqual([{level: "log", text: "Hello, Ada!"}]);
    });
    test("is not always right", async () => {
      expect((await runSpell({params: {name: "Ada"}})).output).toEqual("Hello, Bob!\\n");
    });
  });
});

test("each test has a worker of its own", () => {
  expect(kept).toBe(0);
  kept++;
});
test("each test has a worker of its own, again", () => {
  expect(kept).toBe(0);
  kept++;
});
skip("not now", () => { throw new Error("it was run"); });
test("an error", () => {
  throw new Error("boom");
});
test("a variable of its environment", async () => {
  expect((await runSpell({env: {NAME: "Eve"}})).output).toContain("Eve");
  expect((await runSpell()).output).not.toContain("Eve");
});
test("a call that is answered in its place", async () => {
  fake("http.get", {status: 200, body: "first"}, {status: 200, body: "second"});
  expect((await runSpell({spell: "fetch.js"})).value).toBe("first");
  const report = await runSpell({spell: "fetch.js"});
  expect(report.calls[0].method).toBe("http.get");
  expect(report.calls[0].args).toEqual(["https://example.com/"]);
});
test("a call that fails as it is told to", async () => {
  fake("http.get", fault("Network", "unplugged"));
  const report = await runSpell({spell: "fetch.js"});
  expect(report.value).toEqual({kind: "Network", message: "unplugged"});
});
test("what nobody granted is not there", async () => {
  expect((await runSpell({spell: "fetch.js"})).ok).toBe(true);
  expect((await runSpell({spell: "fetch.js"})).value.kind).toBeNull();
  expect(typeof llm).toBe("undefined");
});
test("chances, clock and sleeps", async () => {
  const options = {spell: "chance.js", seed: 7, clock: 1000, speed: 1000000};
  const first = await runSpell(options), second = await runSpell(options);
  expect(first.ok).toBe(true);
  expect(first.value).toEqual(second.value);
  expect(first.value[2] / 1000).toBeCloseTo(1020, 1);
  options.seed = 8;
  expect((await runSpell(options)).value[1]).not.toBe(first.value[1]);
});
test("how it ends", async () => {
  const report = await runSpell({spell: "wrong.js"});
  expect(report.verdict).toBe("script_error");
  expect(report.problem.message).toBe("no luck");
  expect(report.problem.line).toBe(2);
});
for (const word of ["first", "second"]) {
  test(`what a spell keeps is its test's own: ${word}`, async () => {
    await runSpell({spell: "remember.js", params: {word}});
    const report = await runSpell({spell: "remember.js", params: {word}});
    expect(report.value).toEqual([word, word]);
  });
}
test("a text that no message can show whole", () => {
  expect("\u00e9".repeat(100)).toBe(new Uint8Array([255]));
});
test("outside", async () => {
  await runSpell({spell: "/etc/passwd"});
});
test("unknown option", async () => {
  await runSpell({parms: {}});
});
test("raises", async () => {
  await expect(() => { throw new Error("bad luck"); }).toThrow("bad");
  await expect(() => {}).not.toThrow();
  await expect(async () => { await null; throw new Error("bad luck"); }).toThrow("good");
});
test("too long", () => {
  for (;;);
});
test("lists that are unlike", () => {
  expect([1, {a: 2}]).toEqual([1, {a: 3}]);
});
test("a promise that nobody awaits", () => {
  (async () => { await null; throw new Error("alone"); })();
});
""",
}

FAILED: Final = {
    "greeting > by name > is not always right": {
        "lua": (
            '.output).to_equal("Hello, Bob!',
            'expected "Hello, Ada!\\n" to equal "Hello, Bob!',
        ),
        "js": ('.output).toEqual("Hello, Bob!', 'expected "Hello, Ada!\\n" to equal "Hello, Bob!'),
    },
    "an error": {"lua": ('error("boom")', "boom"), "js": ('new Error("boom")', "boom")},
    "a text that no message can show whole": {
        "lua": ('to_be("\\xff")', f'expected "{39 * "é"}..." to be (1 bytes)'),
        "js": (".toBe(new Uint8Array", f'expected "{79 * "é"}...'),
    },
    "outside": {
        "lua": ("/etc/passwd", "/etc/passwd is outside the folders that are tested"),
        "js": ("/etc/passwd", "/etc/passwd is outside the folders that are tested"),
    },
    "unknown option": {
        "lua": ("parms", "unknown option 'parms'"),
        "js": ("parms", "unknown option 'parms'"),
    },
    "raises": {
        "lua": ('to_raise("good")', 'to raise an error with "good" (it raised'),
        "js": (
            'toThrow("good")',
            'expected the function to throw an error with "good" (it threw "bad luck")',
        ),
    },
    "too long": {
        "lua": ('test("too long"', "cpu_limit: "),
        "js": ('test("too long"', "cpu_limit: "),
    },
    "lists that are unlike": {
        "lua": ("a = 3", 'expected [1,{"a":2}] to equal [1,{"a":3}]'),
        "js": ("a: 3", 'expected [1,{"a":2}] to equal [1,{"a":3}]'),
    },
    "a colon where a dot is due": {"lua": (":to_be(1)", "write it with a dot: expect(x).to_be(y)")},
    "a promise that nobody awaits": {"js": ('new Error("alone")', "alone")},
}
"""By language, part of the line and of the message of what must fail; all else passes."""


@pytest.fixture(scope="module")
def totals(tmp_path_factory: pytest.TempPathFactory) -> Totals:
    folder = tmp_path_factory.mktemp("spells")
    for name, text in SPELLS.items():
        (folder / name).write_text(text)
    for language, text in TESTS.items():
        (folder / f"all.test.{language}").write_text(text)
    options = Options(
        paths=(str(folder),),
        config=Config(),
        policy=Policy(cpu=0.7, allow_bridges=("memory",)),
    )
    return asyncio.run(run_tests(find(options.paths), options, lambda _: None))


def _outcome(totals: Totals, language: str, name: str) -> Outcome:
    [found] = [o for o in totals.outcomes if o.file.endswith(language) and o.name == name]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_must_fail_fails_and_nothing_else(totals: Totals, language: str) -> None:
    mine = [o for o in totals.outcomes if o.file.endswith(language)]
    due = {name for name, cases in FAILED.items() if language in cases}
    failed = {o.name: o.failure for o in mine if o.status != "passed"}
    assert {name: failed[name] for name in failed.keys() - due} == {"not now": None}
    assert due <= failed.keys()
    assert len(mine) == 21
    assert _outcome(totals, language, "not now").status == "skipped"


@pytest.mark.parametrize(
    ("name", "language", "source", "message"),
    [(name, lang, *case) for name, cases in FAILED.items() for lang, case in cases.items()],
)
def test_a_failure_names_its_line_and_says_why(
    totals: Totals, name: str, language: str, source: str, message: str
) -> None:
    failure = _outcome(totals, language, name).failure
    assert failure is not None
    assert failure.line is not None
    assert message in failure.message
    assert failure.file.endswith(f"/all.test.{language}")
    assert source in failure.source
    assert failure.source == TESTS[language].split("\n")[failure.line - 1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failure_shows_both_values_and_what_was_written(totals: Totals, language: str) -> None:
    failure = _outcome(totals, language, "greeting > by name > is not always right").failure
    assert failure is not None
    assert failure.compared
    assert (failure.expected, failure.actual) == ("Hello, Bob!\n", "Hello, Ada!\n")
    written = ("before all of the group", "before", f"greet.{language}: Hello, Ada!", "after")
    assert failure.logs == written


BROKEN: Final = {
    "unclosed.test.lua": ('test("x", function()\n  if true then\nend)\n', 3),
    "unclosed.test.js": ('test("x", () => {\n  if (true) {\n});\n', 3),
    "raises.test.lua": ('local x = 1\nerror("at the head")\n', 2),
    "raises.test.js": ('const x = 1;\nthrow new Error("at the head");\n', 2),
    "empty.test.lua": ("", None),
    "unnamed.test.js": ("test(5, () => {});", 1),
    "keys.test.toml": ('spell = "a.lua"\n[[test]]\nnam = "x"\n', None),
    "syntax.test.toml": ('spell = "a.lua"\n[[test]\n', None),
}


def test_a_file_that_cannot_be_read_is_an_error_and_the_others_go_on(tmp_path: Path) -> None:
    for name, (text, _) in BROKEN.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "good.test.lua").write_text('test("x", function() expect(1).to_be(1) end)')
    options = Options(paths=(str(tmp_path),), config=Config(), policy=Policy())
    totals = asyncio.run(run_tests(find(options.paths), options, lambda _: None))
    ends = {o.file.rpartition("/")[2]: o for o in totals.outcomes}
    assert ends.pop("good.test.lua").status == "passed"
    assert ends.keys() == BROKEN.keys()
    for name, (_, line) in BROKEN.items():
        failure = ends[name].failure
        assert ends[name].status == "error"
        assert failure is not None
        assert failure.line == line, (name, failure)
