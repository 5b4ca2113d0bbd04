"""How a Lua script fails, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from llmspell_protocol import ErrorInfo
from tests.workers.support.host import LIMITS, HandlerFault
from tests.workers.support.lua import failure_of, lua

RATE = ErrorInfo("RateLimit", "too fast", retryable=True, retry_after=2.5)
CALL = {"llm": {"complete": "call"}}


def refuse(*_: Any) -> Any:
    raise HandlerFault(RATE)


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("local x = = 1", 1, 11, "unexpected symbol near '='"),
        ("\n\n  local function f( return 1 end", 3, 21, "<name> or '...' expected near 'return'"),
        ("if true then\n  x = 1\n", 3, 1, "'end' expected (to close 'if' at line 1) near <eof>"),
        ("return 1 +", 1, 11, "unexpected symbol near <eof>"),
        ("  x = 'abc\n", 1, 7, "unfinished string near ''abc'"),
        ("#!/usr/bin/env llmspell-supervisor\nx = = 1", 2, 5, "unexpected symbol near '='"),
        ("goto nowhere", 1, 1, "no visible label 'nowhere' for <goto> at line 1"),
        ("\x1bLua", 1, 1, "attempt to load a binary chunk (mode is 't')"),
    ],
)
@pytest.mark.parametrize("mode", ["execute", "validate"])
def test_a_syntax_error_has_a_line_and_a_column(
    source: str, line: int, column: int, message: str, mode: str
) -> None:
    failure = failure_of(source, mode=mode)
    assert failure.cause == "syntax"
    assert (failure.line, failure.column, failure.error.message) == (line, column, message)


def test_validation_does_not_run_the_script() -> None:
    outcome = lua("print('ran') error('ran')", mode="validate")
    assert outcome.failure is None
    assert outcome.logs == []


def test_a_runtime_error_has_its_line_and_no_prefix() -> None:
    failure = failure_of("local t\n\nt.x = 1", name="hello.lua")
    assert failure.cause == "error"
    assert failure.line == 3
    assert failure.error == ErrorInfo("Script", "attempt to index a nil value (local 't')")


def test_error_without_position_takes_the_line_where_it_was_raised() -> None:
    failure = failure_of("local function f()\n  error('no prefix', 0)\nend\nf()")
    assert (failure.line, failure.error.message) == (2, "no prefix")


def test_the_stack_shows_the_frames_of_the_script_only() -> None:
    source = (
        "local function inner()\n  json.decode('x')\nend\nfunction outer() inner() end\nouter()"
    )
    failure = failure_of(source, name="hello.lua")
    assert failure.line == 2
    assert failure.stack == (
        "hello.lua:2: in function 'inner'\n"
        "hello.lua:4: in function 'outer'\n"
        "hello.lua:5: in main chunk"
    )


def test_a_deep_stack_is_cut() -> None:
    failure = failure_of("local function f(n) if n == 0 then error('x') end f(n - 1) end f(100)")
    assert failure.stack is not None
    assert len(failure.stack.splitlines()) == 21


def test_a_stack_overflow_is_an_error_of_the_script() -> None:
    limits = structs.replace(LIMITS, heap=256 << 20)  # a million frames take 100 MB
    failure = failure_of("local function f() return 1 + f() end f()", limits=limits)
    assert failure.cause == "error"
    assert "stack overflow" in failure.error.message


def test_a_host_error_has_its_fields_and_reads_as_its_message() -> None:
    source = """
    local ok, err = pcall(llm.complete, "hi")
    return {ok, err.kind, err.message, err.retryable, err.retry_after, err.field == nil,
            tostring(err), "failed: " .. err, err .. "!"}
    """
    outcome = lua(source, manifest=CALL, handlers={"llm.complete": refuse})
    assert outcome.value == [
        False,
        "RateLimit",
        "too fast",
        True,
        2.5,
        True,
        "too fast",
        "failed: too fast",
        "too fast!",
    ]


@pytest.mark.parametrize(
    "source", ["llm.complete()", "local _, e = pcall(llm.complete) error(e)", "error(select(2, pcall(llm.complete)), 0)"]
)  # fmt: skip
def test_an_uncaught_host_error_keeps_its_kind(source: str) -> None:
    failure = failure_of(source, manifest=CALL, handlers={"llm.complete": refuse})
    assert failure.cause == "error"
    assert failure.error == RATE
    assert failure.line == 1


def test_a_host_error_that_the_script_spoilt_is_still_reported() -> None:
    source = """
    local _, err = pcall(llm.complete)
    err.kind, err.message, err.retry_after, err.retryable = "Nonsense", {}, 0/0, "yes"
    error(err)
    """
    failure = failure_of(source, manifest=CALL, handlers={"llm.complete": refuse})
    assert failure.error == ErrorInfo("Script", "error")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("nil", "nil"),
        ("42", "42"),
        ("{}", "(error object is a table value)"),
        ("{message = 'mine'}", "mine"),
        ("print", "(error object is a function value)"),
        ("setmetatable({}, {__tostring = function() return 'shown' end})", "shown"),
        # L23: an object that fights back
        ("setmetatable({}, {__tostring = error})", "(error object is a table value)"),
        ("setmetatable({}, {__tostring = function() return 1 end})", "1"),
        ("setmetatable({}, {__tostring = 5, __name = {}})", "(error object is a table value)"),
        ("setmetatable({message = {}}, {__index = error})", "(error object is a table value)"),
        ("setmetatable({}, {__metatable = 1, __tostring = function(e) error(e) end})", "(error object is a table value)"),
        ("'\\xff\\xfe'", "\ufffd\ufffd"),
    ],
)  # fmt: skip
def test_anything_that_is_raised_has_a_message(raised: str, message: str) -> None:
    failure = failure_of(f"error({raised}, 0)")
    assert failure.error.message == message
    assert failure.cause == "error"


def test_a_huge_message_is_cut() -> None:
    assert len(failure_of("error(('x'):rep(1e6), 0)").error.message) < 10_000


def test_a_long_script_name_does_not_hide_the_line() -> None:
    failure = failure_of("\nerror('x')", name="n" * 300 + ".lua")
    assert (failure.line, failure.error.message) == (2, "x")


def test_an_error_in_a_coroutine_names_its_line() -> None:
    failure = failure_of("local f = coroutine.wrap(function()\n  error('inside')\nend)\nf()")
    assert (failure.line, failure.error.message) == (2, "inside")


def test_traceback_is_text_without_the_frames_of_the_prelude() -> None:
    source = "local function f()\n  local text = debug.traceback('here')\n  return text\nend\nreturn (f())"
    assert lua(source).value == (
        "here\nstack traceback:\n\tspell.lua:2: in function 'f'\n\tspell.lua:5: in main chunk"
    )
