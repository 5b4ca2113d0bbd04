"""npm's reference servers, used as spells use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bridges.mcp.stage import mcp_host, refused, text
from tests.support.mcp_servers import reference


def test_everything_answers_with_texts_images_data_resources_and_prompts() -> None:
    host = mcp_host({"all": reference("everything")})

    async def work() -> tuple[Any, ...]:
        assert not (await host.call("mcp.servers"))[0]["running"]
        image = await host.call("mcp.call", "all", "get-tiny-image", {})
        place = {"location": "New York"}
        weather = await host.call("mcp.call", "all", "get-structured-content", place)
        resources = await host.call("mcp.resources", "all")
        page = await host.call("mcp.read", "all", resources[0]["uri"])
        prompts = await host.call("mcp.prompts", "all")
        prompt = await host.call("mcp.prompt", "all", "args-prompt", {"city": "Bern"})
        assert (await host.call("mcp.servers"))[0]["running"]
        return image, weather, page, prompts, prompt

    image, weather, page, prompts, prompt = host.run(work)
    assert [part["type"] for part in image["parts"]] == ["text", "media", "text"]
    assert image["parts"][1]["data"].startswith(b"\x89PNG\r\n")
    assert set(weather["data"]) == {"temperature", "conditions", "humidity"}
    assert page["content"] == page["parts"][0]["text"] != ""
    assert prompts[1]["arguments"][0]["name"] == "city"
    assert prompt["messages"][0]["role"] == "user"
    assert "Bern" in prompt["messages"][0]["content"]


def test_the_filesystem_server_reads_what_it_was_given_and_reports_the_rest(
    tmp_path: Path,
) -> None:
    (tmp_path / "spell.txt").write_text("abracadabra")
    host = mcp_host({"files": reference("filesystem", str(tmp_path))})

    async def work() -> tuple[str, Any]:
        there = await text(host, "files", "read_text_file", path=str(tmp_path / "spell.txt"))
        arguments = {"path": "/etc/hostname"}
        return there, await refused(host, "mcp.call", "files", "read_text_file", arguments)

    there, error = host.run(work)
    assert there == "abracadabra"
    assert (error.kind, error.retryable) == ("Provider", False)
    assert "Access denied" in error.message


def test_the_memory_server_remembers_across_its_own_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_FILE_PATH", str(tmp_path / "memory.jsonl"))
    servers = {"memory": {**reference("memory"), "env": ["MEMORY_FILE_PATH"]}}
    entity = {"name": "Ada", "entityType": "person", "observations": ["likes owls"]}

    async def learn() -> None:
        await host.call("mcp.call", "memory", "create_entities", {"entities": [entity]})

    async def recall() -> Any:
        return await host.call("mcp.call", "memory", "search_nodes", {"query": "owls"})

    host = mcp_host(servers)
    host.run(learn)
    host = mcp_host(servers)
    assert host.run(recall)["data"]["entities"] == [entity]
