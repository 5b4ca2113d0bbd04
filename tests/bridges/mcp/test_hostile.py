"""Servers that nobody should trust: each ends in an error, and the host goes on."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.bridges.mcp.stage import mcp_host, refused, text
from tests.support.mcp_servers import hostile

ENDS = {
    "dies": ("Provider", "it has ended"),
    "garbage": ("Provider", "it floods"),
    "messages": ("Provider", "it floods"),
    "requests": ("Provider", "it floods"),
    "one_line": ("Provider", "it sent a message of more than 16777216 bytes"),
    "bomb": ("Provider", "it sent a message of more than 1048576 values"),
    "silent": ("Timeout", "not ready within 1 s"),
    "deaf": ("Timeout", "not ready within 1 s"),
    "errors": ("Timeout", "not ready within 1 s"),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_server_that_does_not_keep_to_the_protocol_ends_in_an_error(how: str) -> None:
    quick = {"start_timeout": 1.0} if ENDS[how][0] == "Timeout" else {}
    host = mcp_host({"bad": hostile(how, **quick), "good": hostile("frail")})

    async def work() -> tuple[Any, str]:
        return await refused(host, "mcp.tools", "bad"), await text(host, "good", "pid")

    error, alive = host.run(work)
    kind, said = ENDS[how]
    assert (error.kind, error.retryable) == (kind, True)
    assert said in error.message
    assert "secret" not in error.message
    assert alive.isdigit()


def test_a_list_without_end_is_cut_off() -> None:
    host = mcp_host({"bad": hostile("endless_list")})
    error = host.run(lambda: refused(host, "mcp.tools", "bad"))
    assert (error.kind, error.message) == (
        "Provider",
        "MCP server bad: it has more than 512 tools, which is the limit",
    )


@pytest.mark.attack("B23")
def test_schemas_that_are_traps_are_named_and_their_tools_cannot_be_called() -> None:
    host = mcp_host({"bad": hostile("lies")})

    async def work() -> tuple[Any, ...]:
        listed = {t["name"]: t for t in await host.call("mcp.tools", "bad")}
        broken = {name for name, tool in listed.items() if "problem" in tool}
        errors = [await refused(host, "mcp.call", "bad", name, {"a": "b"}) for name in broken]
        endless = await refused(host, "mcp.call", "bad", "endless", {"a": "b"})
        return broken, errors, endless, await text(host, "bad", "honest", a="b")

    broken, errors, endless, honest = host.run(work)
    names = ("backtracking", "deep", "file", "huge", "no_schema", "remote", "renamed")
    assert broken == set(names)
    assert {error.kind for error in errors} == {"Provider"}
    assert endless.kind == "Limit"
    assert honest == "called"


@pytest.mark.attack("B05")
def test_a_remote_schema_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Canary) as canary:
        thread = threading.Thread(target=canary.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("CANARY", f"http://127.0.0.1:{canary.server_address[1]}/schema.json")
        host = mcp_host({"bad": hostile("lies", env=["CANARY"])})

        async def work() -> list[Any]:
            names = ("remote", "renamed")
            return [await refused(host, "mcp.call", "bad", name, {"a": "b"}) for name in names]

        errors = host.run(work)
        canary.shutdown()
        thread.join()
    assert [error.kind for error in errors] == ["Provider", "Provider"]
    assert not asked


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("result", "the result is not what the server's schema says"),
        ("bytes", "the server's bytes are not base64"),
        ("other_shape", "the server's answer breaks the protocol"),
    ],
)
def test_a_result_that_is_not_what_was_announced_is_an_error(tool: str, said: str) -> None:
    host = mcp_host({"bad": hostile("lies")})
    error = host.run(lambda: refused(host, "mcp.call", "bad", tool, {}))
    assert (error.kind, error.retryable) == ("Provider", False)
    assert said in error.message
