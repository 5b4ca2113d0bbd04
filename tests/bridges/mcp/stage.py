"""A host with MCP servers."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from tests.bridges.host import Host


def mcp_host(servers: dict[str, Any], **policy: Any) -> Host:
    """A host whose spells may use `servers`, and tools."""
    granted = {"timeout": 50.0, "allow_bridges": ("mcp", "tools"), **policy}
    return Host(load("mcp", {"servers": servers}), load("tools"), **granted)


async def refused(host: Host, method: str, *args: Any) -> BridgeError:
    """The error of a call that must fail."""
    with pytest.raises(BridgeError) as caught:
        await host.call(method, *args)
    return caught.value


async def text(host: Host, server: str, tool: str, **arguments: Any) -> str:
    """The text that a tool answers with."""
    answer = await host.call("mcp.call", server, tool, arguments)
    return str(answer["content"])
