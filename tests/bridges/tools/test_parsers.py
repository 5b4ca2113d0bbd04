"""Hostile input: it costs its spell an error, and the supervisor nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from tests.bridges.tools.host import refused, tools_host

QUICK = {"parse_seconds": 1}
DOUBLED = "[@,@]|" * 60 + "@"
"""A query whose result is a gigantic tree, made of a few lists."""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("html_to_text", {"html": "<!--" * 200_000}),
        ("json_query", {"data": "x" * 1000, "query": "join('', [@,@])|" * 40 + "@"}),
        ("json_query", {"data": 1, "query": DOUBLED}),
    ],
)
def test_what_takes_too_much_is_stopped(name: str, arguments: Any) -> None:
    kind, message, _ = refused(name, arguments, tools_host(QUICK))
    assert kind == "Limit" or "too large or too deep" in message


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9",
        "__import__('os').system('id')",
        "().__class__",
        "'%1000000000d' % 1",
        "-" * 900 + "1",
    ],
)
def test_the_calculator_calculates_and_nothing_else(expression: str) -> None:
    assert refused("calculator", {"expression": expression})[0] in ("Validation", "Limit")


def test_a_result_is_bounded_before_it_is_read() -> None:
    host = tools_host(max_response=10_000)
    kind, message, _ = refused("csv_format", {"rows": [["x" * 1000]] * 100}, host)
    assert kind == "Limit"
    assert "max_response" in message


def test_the_process_has_no_environment_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary-in-the-environment")
    program = tmp_path / "program.py"
    program.write_text(
        "import msgspec, os, sys\n"
        "sys.stdout.buffer.write(msgspec.msgpack.encode(['ok', [dict(os.environ), os.getcwd()]]))\n"
    )
    monkeypatch.setattr("llmspell_bridges.tools._process._PROGRAM", str(program))
    host = tools_host()
    environment, folder = host.run(lambda: host.call("tools.csv_parse", "a"))
    assert "canary-in-the-environment" not in str(environment)
    assert folder == "/"


def test_a_cancelled_job_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program, pipe = tmp_path / "program.py", tmp_path / "pipe"
    os.mkfifo(pipe)
    program.write_text(
        f"out = open({str(pipe)!r}, 'w')\nprint('here', file=out, flush=True)\ninput()\n"
        "while True: pass\n"
    )
    monkeypatch.setattr("llmspell_bridges.tools._process._PROGRAM", str(program))
    host = tools_host()

    async def work() -> None:
        task = asyncio.ensure_future(host.call("tools.csv_parse", "a"))
        with await asyncio.to_thread(open, pipe) as heard:
            assert await asyncio.to_thread(heard.readline) == "here\n"
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(heard.read) == ""  # the other end is gone

    host.run(work)


def test_a_crash_is_an_error_of_the_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os\nos.abort()\n")
    monkeypatch.setattr("llmspell_bridges.tools._process._PROGRAM", str(program))
    host = tools_host()
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("tools.csv_parse", "a" * 1_000_000))
    assert (caught.value.kind, caught.value.field) == ("Limit", "text")
