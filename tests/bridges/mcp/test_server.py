"""A server made with the SDK: calls, errors, resources and prompts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bridges.mcp.stage import mcp_host, refused, text
from tests.support.mcp_servers import ledger


def test_a_result_has_its_text_its_data_and_its_parts() -> None:
    host = mcp_host({"ledger": ledger()})
    arguments = {"name": "ada", "amount": 5}
    found = host.run(lambda: host.call("mcp.call", "ledger", "deposit", arguments))
    assert found["data"] == {"name": "ada", "balance": 5}
    assert found["content"] == found["parts"][0]["text"]


def test_the_error_of_a_tool_and_bad_arguments_are_told_apart() -> None:
    host = mcp_host({"ledger": ledger()})

    async def work() -> list[Any]:
        return [
            await refused(host, "mcp.call", *call)
            for call in (
                ("ledger", "withdraw", {"name": "ada", "amount": 50}),
                ("ledger", "withdraw", {"name": "ada", "amount": 0}),
                ("ledger", "withdraw", {"name": "ada", "amuont": 1, "amount": 1}),
                ("ledger", "withdrew", {}),
                ("leger", "withdraw", {}),
            )
        ]

    own, low, extra, tool, server = host.run(work)
    assert (own.kind, own.message) == (
        "Provider",
        "ledger.withdraw: Error executing tool withdraw: ada has only 0",
    )
    assert (low.kind, low.field) == ("Validation", "amount")
    assert (extra.field, "did you mean 'amount'?" in extra.message) == ("amuont", True)
    assert (tool.field, "did you mean 'withdraw'?" in tool.message) == ("tool", True)
    assert (server.kind, server.field) == ("Validation", "server")
    assert "there are: ledger" in server.message


def test_resources_and_prompts_come_as_text_bytes_and_messages() -> None:
    host = mcp_host({"ledger": ledger()})

    async def work() -> list[Any]:
        return [
            await host.call("mcp.resources", "ledger"),
            await host.call("mcp.read", "ledger", "ledger://rules"),
            await host.call("mcp.read", "ledger", "ledger://seal"),
            await host.call("mcp.prompt", "ledger", "audit", {"name": "ada"}),
            await refused(host, "mcp.read", "ledger", "ledger://nothing"),
        ]

    resources, rules, seal, prompt, error = host.run(work)
    assert [r["uri"] for r in resources] == ["ledger://rules", "ledger://seal"]
    assert rules["content"] == "Nobody overdraws."
    assert seal["parts"][0]["data"].startswith(b"\x89PNG\r\n")
    assert prompt["messages"] == [{"role": "user", "content": "Audit the account of ada."}]
    assert "ledger://nothing" in error.message


def test_spells_get_only_the_tools_that_the_operator_lists() -> None:
    host = mcp_host({"ledger": ledger(tools=["deposit", "pi*"]), "none": ledger(tools=[])})

    async def work() -> tuple[Any, ...]:
        tools = await host.call("mcp.tools", "ledger")
        error = await refused(host, "mcp.call", "ledger", "withdraw", {})
        return [t["name"] for t in tools], error, await host.call("mcp.tools", "none")

    names, error, none = host.run(work)
    assert names == ["deposit", "picture"]
    assert (error.kind, error.field) == ("Validation", "tool")
    assert none == []


def test_a_key_that_a_server_was_granted_does_not_come_back_to_the_spell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEDGER_TOKEN", "hunter2-hunter2")
    host = mcp_host({"ledger": ledger(env=["LEDGER_TOKEN"])})
    assert host.run(lambda: text(host, "ledger", "variable", name="LEDGER_TOKEN")) == "***"


def test_a_variable_that_is_not_set_is_named() -> None:
    host = mcp_host({"ledger": ledger(env=["LEDGER_NOWHERE"])})
    error = host.run(lambda: refused(host, "mcp.tools", "ledger"))
    assert (error.kind, error.field) == ("Configuration", "mcp.servers.ledger.env")
    assert "LEDGER_NOWHERE" in error.message


def test_a_program_that_is_not_there_is_named() -> None:
    host = mcp_host({"odd": {"command": ["no-such-program-anywhere"]}})
    error = host.run(lambda: refused(host, "mcp.tools", "odd"))
    assert (error.kind, error.field) == ("Configuration", "mcp.servers.odd.command")
