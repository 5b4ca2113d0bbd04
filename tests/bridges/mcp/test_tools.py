"""Tools of servers among all tools."""

from __future__ import annotations

from typing import Any

from tests.bridges.mcp.stage import mcp_host, refused
from tests.support.mcp_servers import hostile, ledger


def test_tools_of_servers_are_tools_like_others() -> None:
    host = mcp_host({"ledger": ledger(tools=["deposit", "picture"])})
    given = {"name": "ada", "amount": 5}

    async def work() -> tuple[Any, ...]:
        listed = [t for t in await host.call("tools.list") if t["source"] == "mcp"]
        valid = await host.call("tools.validate", "ledger__deposit", {"name": "ada", "amount": 0})
        found = await host.call("tools.call", "ledger__deposit", given)
        picture = await host.call("tools.call", "ledger__picture", {})
        return listed, valid, found, picture

    listed, valid, found, picture = host.run(work)
    assert [t["name"] for t in listed] == ["ledger__deposit", "ledger__picture"]
    assert listed[0]["parameters"]["required"] == ["name", "amount"]
    assert (valid["valid"], valid["field"]) == (False, "amount")
    assert found == {"name": "ada", "balance": 5}
    assert picture["parts"][0]["data"].startswith("iVBOR")


def test_a_broken_server_hides_no_other_tools_and_its_own_name_why() -> None:
    host = mcp_host({"bad": hostile("dies"), "good": hostile("frail")})

    async def work() -> tuple[Any, ...]:
        listed = {t["name"] for t in await host.call("tools.list")}
        broken = await refused(host, "tools.call", "bad__pid", {})
        return listed, broken, await refused(host, "tools.call", "good__pit", {})

    listed, broken, misspelt = host.run(work)
    assert {"calculator", "good__pid"} <= listed
    assert not any(name.startswith("bad__") for name in listed)
    assert (broken.kind, broken.message) == ("Provider", "MCP server bad: it has ended")
    assert "did you mean 'good__pid'?" in misspelt.message


def test_names_that_no_model_takes_and_unusable_schemas_are_left_out() -> None:
    host = mcp_host({"bad": hostile("lies")})
    listed = host.run(lambda: host.call("tools.list"))
    names = {t["name"] for t in listed if t["source"] == "mcp"}
    usable = ("bytes", "circle", "endless", "honest", "other_shape", "result")
    assert names == {f"bad__{name}" for name in usable}


def test_a_spell_without_the_bridge_sees_no_server() -> None:
    host = mcp_host({"good": hostile("frail")}, allow_bridges=("tools",))
    error = host.run(lambda: refused(host, "tools.call", "good__pid", {}))
    assert "there is no tool 'good__pid'" in error.message
