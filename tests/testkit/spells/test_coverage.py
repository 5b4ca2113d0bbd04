"""Which lines of a spell were run: where statements begin, and what is said of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest
from lupa import lua54  # type: ignore[import-untyped]

from llmspell_supervisor import Config, Policy, Spell
from llmspell_testkit.spells._coverage import Coverage
from llmspell_testkit.spells._find import find
from llmspell_testkit.spells._lua import NotLua, statements
from llmspell_testkit.spells._session import Options, run_tests

ROOT: Final = Path(__file__).parents[3]
FILES: Final = sorted(
    path
    for folder in ("examples", "workers", "testkit")
    for path in (ROOT / folder).rglob("*.lua")
    if ".venv" not in path.parts
)

SOURCES: Final = {
    "local a, b <const> = 1, 2; ;; f(a)\nf'x' f{1; x = 2, [3] = 4} f[[y]]": [1, 1, 2, 2, 2],
    "-- no\n--[==[ return\n]] ]==] return": [3],
    "for i = 1, 2 do\nif i then break elseif 5 then\nelse goto on end ::on::\nend": [1, 2, 2, 3],
    "for k, v in next, {} do end while not x do y() end repeat z() until a.b[c]:d '' .e": [1] * 5,
    "function a.b.c:d(x, ...)\nreturn ..., -x ^ #y .. ''\nend": [1, 2],
    "local function f()\n  return\nend\nreturn f;": [1, 2, 4],
    "a.b, c[1] = function() x = 1 end,\n(g)(1).h": [1, 1],
    "x = 0x1p4 + 3e-2 .. .5 // 0xA.8 & 1 | ~2 ~ 3 << 4 >> 5": [1],
    'x = "a\\z\n  b\\"c" y = \'\\\n\'\nz = 1': [1, 2, 4],
    "do local x <close> = nil end": [1, 1],
    "(f or g)()": [1],
    "": [],
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_statement_is_found_where_it_begins(source: str) -> None:
    assert [found.line for found in statements(source)] == SOURCES[source]


@pytest.mark.parametrize(
    "source",
    ["x =", "if x then", "end", "f(", "return 1 2", "'", "a = }", "local 5", "::a:"],
)
def test_what_does_not_parse_is_said_to(source: str) -> None:
    with pytest.raises(NotLua):
        statements(source)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_marked_script_is_a_script_of_as_many_lines(path: Path) -> None:
    source = path.read_text()
    marked = Coverage().marked(Spell(path.name, source, "lua"), path.name)
    assert marked is not None
    assert marked[0].source.count("\n") == source.count("\n")
    assert marked[0].source.count("__lines[") == len(statements(source))
    lua54.LuaRuntime().compile(marked[0].source)


def test_what_was_not_run_is_named_and_what_is_not_measured_too(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text(
        "local x = params.x\nif x == 1 then\n  console.log('one')\n  x = 2\nelse\n  error('no')\nend\n"
        "local y = function()\n  return x\nend\nreturn x\n"
    )
    (tmp_path / "b.js").write_text("return 1;\n")
    (tmp_path / "t.test.toml").write_text(
        'spell = "a.lua"\n[[test]]\nname = "a"\nexpect = {error = "no", calls = []}\n'
    )
    (tmp_path / "u.test.toml").write_text(
        'spell = "b.js"\n[[test]]\nname = "b"\nexpect = {value = 1}\n'
    )
    options = Options(
        paths=(str(tmp_path),), config=Config(), policy=Policy(max_calls=0), coverage=True
    )
    totals = asyncio.run(run_tests(find(options.paths), options, lambda _: None))
    assert totals.ok, totals.outcomes
    a, b = totals.covered
    assert a.endswith("/a.lua     3 of 8     37 %  not run: 3-4, 8-9, 11"), a
    assert b.endswith("/b.js   javascript: not measured"), b
