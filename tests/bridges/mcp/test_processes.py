"""The process of a server: how it is started, what it gets, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges.mcp import _server
from tests.bridges.mcp.stage import mcp_host, refused, text
from tests.support.mcp_servers import hostile


def gone(pid: int) -> bool:
    """Whether there is no such process; a zombie is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("tool", ["die", "kill"])
def test_a_server_that_dies_in_a_call_is_a_retryable_error_and_the_next_call_works(
    tool: str,
) -> None:
    host = mcp_host({"frail": hostile("frail")})

    async def work() -> tuple[Any, ...]:
        before = int(await text(host, "frail", "pid"))
        if tool == "die":
            error = await refused(host, "mcp.call", "frail", "die", {})
        else:
            late = asyncio.create_task(refused(host, "mcp.call", "frail", "wait", {"seconds": 50}))
            await text(host, "frail", "pid")  # so the other call has arrived
            os.kill(before, signal.SIGKILL)
            error = await late
        return before, error, int(await text(host, "frail", "pid"))

    before, error, after = host.run(work)
    assert (error.kind, error.retryable) == ("Provider", True)
    assert "secret" not in error.message
    assert after != before


def test_a_server_that_hangs_is_a_timeout_and_is_started_anew() -> None:
    host = mcp_host({"frail": hostile("frail", timeout=1.0)})

    async def work() -> tuple[Any, ...]:
        before = int(await text(host, "frail", "pid"))
        error = await refused(host, "mcp.call", "frail", "hang", {})
        return before, error, int(await text(host, "frail", "pid"))

    before, error, after = host.run(work)
    assert (error.kind, error.retryable, error.duration) == ("Timeout", True, 1.0)
    assert after != before
    assert gone(before)


def test_a_server_that_is_only_slow_is_kept_for_those_whom_it_answers() -> None:
    host = mcp_host({"frail": hostile("frail", timeout=0.5)})

    async def work() -> tuple[Any, ...]:
        before = await text(host, "frail", "pid")
        late = asyncio.create_task(refused(host, "mcp.call", "frail", "wait", {"seconds": 50}))
        while not late.done():
            await text(host, "frail", "pid")
        return late.result(), before, await text(host, "frail", "pid")

    error, before, after = host.run(work)
    assert error.kind == "Timeout"
    assert after == before


def test_a_server_that_keeps_dying_is_left_alone_for_a_while() -> None:
    host = mcp_host({"frail": hostile("frail")})

    async def work() -> list[Any]:
        return [
            await refused(host, "mcp.call", "frail", "die", {})
            for _ in range(_server.MAX_STARTS + 1)
        ]

    *_, last = host.run(work)
    assert (last.kind, last.retryable) == ("Provider", True)
    assert last.retry_after is not None
    assert 0 < last.retry_after <= _server.WINDOW


def test_one_server_serves_all_and_starts_with_the_first_call() -> None:
    host = mcp_host({"frail": hostile("frail")})

    async def work() -> list[str]:
        calls = (text(host, "frail", "pid") for _ in range(5))
        return list(await asyncio.gather(*calls))

    assert len(set(host.run(work))) == 1


@pytest.mark.attack("B16")
def test_a_server_gets_the_variables_that_are_granted_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-servers")
    monkeypatch.setenv("FRAIL_CURRENCY", "galleons")
    host = mcp_host({"frail": hostile("frail", env=["FRAIL_CURRENCY"])})

    names = host.run(lambda: text(host, "frail", "variables")).split()
    # The interpreter sets the locale itself.
    assert set(names) - {"LC_CTYPE"} == {"FRAIL_CURRENCY", "HOME", "PATH"}


def test_the_memory_of_a_server_is_limited() -> None:
    host = mcp_host({"frail": hostile("frail", memory=300 << 20)})

    async def work() -> tuple[str, Any]:
        little = await text(host, "frail", "allocate", megabytes=10)
        return little, await refused(host, "mcp.call", "frail", "allocate", {"megabytes": 400})

    little, error = host.run(work)
    assert little == str(10 << 20)
    assert error.kind == "Provider"


def test_an_answer_larger_than_the_policy_takes_is_refused_and_the_server_lives() -> None:
    host = mcp_host({"frail": hostile("frail")}, max_response=100_000)

    async def work() -> tuple[Any, ...]:
        before = await text(host, "frail", "pid")
        error = await refused(host, "mcp.call", "frail", "long", {"size": 200_000})
        return error, before, await text(host, "frail", "pid")

    error, before, after = host.run(work)
    assert error.kind == "Limit"
    assert after == before


@pytest.mark.parametrize("how", ["close", "restart"])
def test_what_a_server_has_started_ends_with_it(how: str) -> None:
    host = mcp_host({"frail": hostile("frail")})

    async def work() -> tuple[int, int]:
        helper = int(await text(host, "frail", "helper"))
        server = int(await text(host, "frail", "pid"))
        assert not gone(helper)
        if how == "restart":
            await refused(host, "mcp.call", "frail", "die", {})
            await text(host, "frail", "pid")
            assert gone(helper)
        return helper, server

    helper, server = host.run(work)
    assert gone(helper)
    assert gone(server)
