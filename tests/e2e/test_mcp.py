"""Spells in both languages and MCP servers, through a real supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor
from llmspell_testkit.model_server import Answer, ModelServer
from tests.support.command import Command
from tests.support.mcp_servers import hostile, ledger, reference

REFERENCE = {
    "lua": """
        local sum = mcp.call("all", "get-sum", {a = 2, b = 3})
        local image = mcp.call("all", "get-tiny-image").parts[2]
        local page = mcp.read("all", mcp.resources("all")[1].uri)
        local prompt = mcp.prompt("all", "args-prompt", {city = "Bern"}).messages[1]
        local text = mcp.call("files", "read_text_file", {path = params.path})
        mcp.call("memory", "create_entities", {entities = {
            {name = "Ada", entityType = "person", observations = {"likes owls"}},
        }})
        local graph = mcp.call("memory", "read_graph").data
        return {
            sum = sum, image = image.mime_type, page = #page > 0, role = prompt.role, text = text,
            first = graph.entities[1].name,
        }
    """,
    "javascript": """
        const sum = await mcp.call("all", "get-sum", { a: 2, b: 3 });
        const image = (await mcp.call("all", "get-tiny-image")).parts[1];
        const page = await mcp.read("all", (await mcp.resources("all"))[0].uri);
        const prompt = (await mcp.prompt("all", "args-prompt", { city: "Bern" })).messages[0];
        const text = await mcp.call("files", "read_text_file", { path: params.path });
        await mcp.call("memory", "create_entities", { entities: [
            { name: "Ada", entityType: "person", observations: ["likes owls"] },
        ] });
        const graph = (await mcp.call("memory", "read_graph")).data;
        return {
            sum, image: image.mime_type, page: page.length > 0, role: prompt.role, text,
            first: graph.entities[0].name,
        };
    """,
}
KILLED = {
    "lua": """
        local before = tostring(mcp.call("frail", "pid"))
        local ok, e = pcall(mcp.call, "frail", "die")
        return {before ~= tostring(mcp.call("frail", "pid")), ok, e.kind, e.retryable}
    """,
    "javascript": """
        const before = `${await mcp.call("frail", "pid")}`;
        const e = await mcp.call("frail", "die").catch((error) => error);
        return [before !== `${await mcp.call("frail", "pid")}`, false, e.kind, e.retryable];
    """,
}
AGENT = {
    "lua": 'return llm.agent({mcp = {"ledger"}}):run("Pay Ada").content',
    "javascript": 'return (await (await llm.agent({ mcp: ["ledger"] })).run("Pay Ada")).content',
}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


def run(
    runner: asyncio.Runner,
    source: str,
    language: str,
    bridges: dict[str, Any],
    **params: str,
) -> RunReport:
    """One run with a supervisor of its own."""

    async def main() -> RunReport:
        async with Supervisor(Config(bridges=bridges)) as supervisor:
            policy = Policy(allow_bridges=tuple(bridges), timeout=40.0)
            spell = Spell.from_text(source, language, "spell")
            return await supervisor.run(spell, params=params, policy=policy)

    return runner.run(main())


@pytest.mark.parametrize("language", REFERENCE)
def test_a_spell_uses_the_reference_servers(
    language: str, runner: asyncio.Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_FILE_PATH", str(tmp_path / "memory.jsonl"))
    (tmp_path / "spell.txt").write_text("abracadabra")
    servers = {
        "all": reference("everything"),
        "files": reference("filesystem", str(tmp_path)),
        "memory": {**reference("memory"), "env": ["MEMORY_FILE_PATH"]},
    }
    path = str(tmp_path / "spell.txt")
    bridges = {"mcp": {"servers": servers}}
    report = run(runner, REFERENCE[language], language, bridges, path=path)
    assert report.problem is None
    value = report.value
    assert "5" in value.pop("sum")["content"]
    assert value.pop("text")["content"] == "abracadabra"
    assert value == {"image": "image/png", "page": True, "role": "user", "first": "Ada"}


@pytest.mark.parametrize("language", KILLED)
def test_a_server_that_dies_in_a_call_is_retryable_and_the_next_call_works(
    language: str, runner: asyncio.Runner
) -> None:
    bridges = {"mcp": {"servers": {"frail": hostile("frail")}}}
    report = run(runner, KILLED[language], language, bridges)
    assert report.value == [True, False, "Provider", True]


@pytest.mark.xdist_group("litellm")
@pytest.mark.parametrize("language", AGENT)
def test_an_agent_uses_the_tools_of_a_server(language: str, runner: asyncio.Runner) -> None:
    arguments = json.dumps({"name": "ada", "amount": 5})
    with ModelServer() as server:
        server.script(
            "model", Answer("", tool_calls=(("ledger__deposit", arguments),)), Answer("Paid.")
        )
        provider = {"base_url": server.base_url}
        llm = {"default_model": "scripted/model", "providers": {"scripted": provider}}
        bridges = {"llm": llm, "mcp": {"servers": {"ledger": ledger(tools=["deposit"])}}}
        report = run(runner, AGENT[language], language, bridges)
        asked = [received.body for received in server.requests]
    assert report.value == "Paid.", report.problem
    [offered] = asked[0]["tools"]
    assert offered["function"]["name"] == "ledger__deposit"
    assert offered["function"]["parameters"]["required"] == ["name", "amount"]
    assert json.loads(asked[1]["messages"][-1]["content"]) == {"name": "ada", "balance": 5}


def test_no_server_outlives_a_supervisor_that_is_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = json.dumps(hostile("frail")["command"])
    (tmp_path / "c.toml").write_text(f"[mcp.servers.frail]\ncommand = {command}\n")
    (tmp_path / "spell.lua").write_text(
        'console.log(mcp.call("frail", "helper")) console.log(mcp.call("frail", "pid"))'
        'mcp.call("frail", "wait")'
    )
    arguments = ("run", "spell.lua", "--config", "c.toml", "--allow-bridge", "mcp")
    with Command(environment, tmp_path).started(*arguments) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(supervisor.stdout.readline()) for _ in range(2)]
        handles = [os.pidfd_open(pid) for pid in pids]
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
    asyncio.run(_all_gone(handles))


async def _all_gone(handles: list[int]) -> None:
    """Wait for the processes; a pidfd is readable once its process is gone."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        for handle in handles:
            gone = asyncio.Event()
            loop.add_reader(handle, gone.set)
            await gone.wait()
            loop.remove_reader(handle)
            os.close(handle)
