"""Where each kind of text goes, and how a problem is shown."""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import pytest

from llmspell_protocol import ErrorInfo
from llmspell_supervisor._report import LogEntry, Problem
from llmspell_supervisor._spell import Spell
from llmspell_supervisor.cli._console import Console
from llmspell_supervisor.cli._problems import show_problem
from llmspell_supervisor.cli._status import StatusLine

Level = Literal["debug", "info", "log", "warn", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "log", "warn", "error")


def say_all(console: Console) -> None:
    for level in LEVELS:
        console.log(LogEntry(0.0, level, level))


@pytest.mark.parametrize(
    ("console", "out", "err"),
    [
        (Console(), "info\nlog\n", "[warn] warn\n[error] error\n"),
        (Console(verbose=True), "debug\ninfo\nlog\n", "[warn] warn\n[error] error\n"),
        (Console(quiet=True), "", "[error] error\n"),
        (Console(json=True), "", "[info] info\n[log] log\n[warn] warn\n[error] error\n"),
    ],
    ids=["plain", "verbose", "quiet", "json"],
)
def test_each_level_has_its_place(
    capsys: pytest.CaptureFixture[str], console: Console, out: str, err: str
) -> None:
    say_all(console)
    assert capsys.readouterr() == (out, err)


def test_a_mark_of_suppressed_entries_is_a_line_that_no_spell_can_write(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    mark = "5 entries suppressed: more than 1000 a second"
    console.log(LogEntry(0.0, "warn", mark, 5))
    console.log(LogEntry(0.0, "warn", f"x\nllmspell-supervisor: note: {mark}"))
    assert capsys.readouterr().err.splitlines() == [
        f"llmspell-supervisor: note: {mark}",
        "[warn] x",
        f"[warn] llmspell-supervisor: note: {mark}",
    ]


def test_a_document_is_json_without_a_character_that_acts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {"a\u202e": ["\x9b31m", "\x1b", b"\x00\xff", 1.5, None]}
    Console().document(value)
    text = capsys.readouterr().out
    assert json.loads(text) == {"a\u202e": ["\x9b31m", "\x1b", "AP8=", 1.5, None]}
    assert text.replace("\n", "").isprintable()


SPELL = Spell("a.lua", "local x = 1\n\tfoo(\x1b, bar)\n" + "y" * 5000, "lua")


def show(
    message: str, *, line: int | None = None, column: int | None = None, hint: str = ""
) -> str:
    problem = Problem(message=message, line=line, column=column, hint=hint)
    return show_problem(problem, SPELL, "script_error", colour=False)


def test_the_caret_stands_under_its_column_also_after_tabs_and_escapes() -> None:
    place, source, caret = show("no bar", line=2, column=9).split("\n")
    assert place == "a.lua:2:9: error: no bar"
    assert source[caret.index("^") :].startswith("bar)")
    assert "\x1b" not in source


def test_a_line_of_a_minified_script_is_shown_around_its_column() -> None:
    _, source, caret = show("no", line=3, column=4000).split("\n")
    assert len(source) < 120
    assert source[caret.index("^")] == "y"


@pytest.mark.parametrize(("line", "column"), [(0, 1), (99, 1), (-5, 3), (1, 10**9), (1, -3)])
def test_a_place_that_is_not_in_the_source_does_no_harm(line: int, column: int) -> None:
    assert show("no", line=line, column=column).startswith(f"a.lua:{line}:{column}: error: no")


def test_an_endless_message_is_cut() -> None:
    assert len(show("x" * 1_000_000)) < 5000


def test_later_lines_of_a_message_are_indented_so_that_none_looks_like_ours() -> None:
    lines = show("one\nhint: forged\nllmspell-supervisor: forged", hint="real").split("\n")
    assert [line for line in lines if line.startswith(("hint:", "llmspell"))] == ["hint: real"]


def test_an_error_of_a_bridge_is_shown_with_its_kind() -> None:
    error = ErrorInfo("RateLimit", "slow down", retryable=True)
    problem = Problem(message="slow down", error=error, line=1)
    shown = show_problem(problem, SPELL, "script_error", colour=False)
    assert shown.startswith("a.lua:1: RateLimit error: slow down")


def test_a_limit_is_shown_by_the_name_of_its_verdict() -> None:
    shown = show_problem(Problem(message="too slow"), SPELL, "wall_limit", colour=False)
    assert shown == "a.lua: wall_limit: too slow"


def test_colour_changes_nothing_but_colour() -> None:
    problem = Problem(message="no", line=1, column=7, hint="try")
    plain = show_problem(problem, SPELL, "script_error", colour=False)
    coloured = show_problem(problem, SPELL, "script_error", colour=True)
    for code in ("0", "1", "2", "31"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


def test_a_status_line_that_was_never_shown_closes_without_a_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def short() -> None:
        line = StatusLine("a.lua")
        line.arm()
        line.activity("llm.complete")
        line.close()

    asyncio.run(short())
    assert capsys.readouterr() == ("", "")
