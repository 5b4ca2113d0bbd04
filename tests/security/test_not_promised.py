"""What `docs/security.md` does not promise, as it is today."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from llmspell_harness._model import Model
from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor

SENDS = {
    "lua": "return llm.complete(env.GRANTED).text",
    "javascript": "return (await llm.complete(env.GRANTED)).text",
}


@pytest.mark.xdist_group("litellm")
@pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)")
@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_spell_may_tell_a_model_what_it_was_given(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTED", "what the spell was given")

    async def once() -> tuple[RunReport, str]:
        async with Model() as model, Supervisor(Config(bridges={"llm": model.settings})) as host:
            spell = Spell.from_text(SENDS[engine], engine)
            report = await host.run(spell, policy=Policy(allow_env=("GRANTED",)))
            return report, str(model.requests)

    report, asked = asyncio.run(once())
    assert report.verdict == "ok", report.problem
    assert "what the spell was given" in asked


def test_a_jit_takes_a_wall_away_and_the_report_says_so() -> None:
    async def once() -> RunReport:
        async with Supervisor() as supervisor:
            spell = Spell.from_text("return 1", "javascript")
            return await supervisor.run(spell, policy=Policy(jit=True))

    report = asyncio.run(once())
    assert report.verdict == "ok", report.problem
    assert report.layers["write_xor_execute"] == "off: a JIT is granted"


OPEN_SERVER = """
import os, socket
from mcp.server import MCPServer

server = MCPServer("open")

@server.tool(structured_output=False)
def reach(path: str, port: int) -> str:
    socket.create_connection(("127.0.0.1", port)).close()
    with open(path) as file:
        return " ".join([file.read(), *(os.environ.get(n, "-") for n in ("GRANTED", "OTHER"))])

server.run("stdio")
"""
REACHES = {
    "lua": 'return mcp.call("open", "reach", params).content',
    "javascript": 'return (await mcp.call("open", "reach", params)).content',
}


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_an_mcp_server_is_a_program_of_the_operators_with_no_walls_around_it(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTED", "granted")
    monkeypatch.setenv("OTHER", "other")
    (tmp_path / "server.py").write_text(OPEN_SERVER)
    (tmp_path / "file").write_text("read")
    command = [sys.executable, str(tmp_path / "server.py")]
    servers = {"open": {"command": command, "env": ["GRANTED"]}}

    async def once(port: int) -> RunReport:
        async with Supervisor(Config(bridges={"mcp": {"servers": servers}})) as host:
            spell = Spell.from_text(REACHES[engine], engine)
            params = {"path": str(tmp_path / "file"), "port": port}
            # No directory and no host is granted to the spell.
            return await host.run(spell, params=params, policy=Policy(allow_bridges=("mcp",)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        report = asyncio.run(once(listener.getsockname()[1]))
        assert report.verdict == "ok", report.problem
        listener.settimeout(10)
        listener.accept()[0].close()
    assert "read granted -" in str(report.value)
