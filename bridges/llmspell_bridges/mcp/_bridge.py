"""The bridge `mcp`: servers of the Model Context Protocol that the operator has named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, method
from ..toolbox import Tool
from ._config import McpConfig, check
from ._server import Server
from ._tools import SEPARATOR, McpTool, fits
from ._types import Link, McpAnswer, McpToolInfo, Prompt, PromptInfo, ServerInfo

Arguments = dict[str, Any]
Texts = dict[str, str]
Name = Annotated[str, Meta(description="of the server, as the config file has it")]

_NONE: Arguments = {}
_NO_TEXTS: Texts = {}


class McpBridge(Bridge):
    """MCP servers: their tools, resources and prompts."""

    name: ClassVar[str] = "mcp"
    config: ClassVar[type[BridgeConfig]] = McpConfig

    def __init__(self, config: McpConfig) -> None:
        """Keep what the operator configured. Raises `BridgeError` of kind `Configuration`."""
        for name, server in config.servers.items():
            check(name, server)
        self._servers = {name: Server(name, server) for name, server in config.servers.items()}

    async def close(self) -> None:
        """End every server that was started."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    @method(effect="read")
    def servers(self, ctx: CallContext) -> list[ServerInfo]:  # noqa: ARG002 - all take it
        """The servers that there are. None of them is started for it."""
        return [self._servers[name].info() for name in sorted(self._servers)]

    @method(effect="read")
    async def tools(self, ctx: CallContext, server: Name) -> list[McpToolInfo]:
        """The tools of a server, with the JSON Schemas of their arguments."""
        return [tool.info() for tool in (await self._server(server).tools(ctx)).values()]

    @method(effect="send")
    async def call(
        self,
        ctx: CallContext,
        server: Name,
        tool: Annotated[str, Meta(description="of the server, exactly")],
        arguments: Annotated[Arguments, Meta(description="what it is given, by name")] = _NONE,
    ) -> McpAnswer:
        """Call a tool of a server. Arguments are checked against the server's schema before."""
        return await self._server(server).call(ctx, tool, arguments)

    @method(effect="read")
    async def resources(self, ctx: CallContext, server: Name) -> list[Link]:
        """The resources of a server; none if it has no such thing."""
        return await self._server(server).resources(ctx)

    @method(effect="read")
    async def read(
        self, ctx: CallContext, server: Name, uri: Annotated[str, Meta(description="of a resource")]
    ) -> McpAnswer:
        """Read a resource of a server."""
        return await self._server(server).read(ctx, uri)

    @method(effect="read")
    async def prompts(self, ctx: CallContext, server: Name) -> list[PromptInfo]:
        """The prompts of a server; none if it has no such thing."""
        return await self._server(server).prompts(ctx)

    @method(effect="read")
    async def prompt(
        self,
        ctx: CallContext,
        server: Name,
        name: Annotated[str, Meta(description="of the prompt, exactly")],
        arguments: Annotated[Texts, Meta(description="what it is filled in with")] = _NO_TEXTS,
    ) -> Prompt:
        """Have a prompt of a server filled in: messages for a model."""
        return await self._server(server).prompt(ctx, name, arguments)

    # --- for the tools of a run -------------------------------------------------------------------

    def owner(self, tool: str) -> str | None:
        """The server that a tool of this name is of; none if it is no server's."""
        server, separator, _ = tool.partition(SEPARATOR)
        return server if separator and server in self._servers else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the servers, sorted."""
        return tuple(sorted(self._servers))

    async def offered(self, ctx: CallContext, server: str, field: str) -> Sequence[Tool]:
        """Tools of a server that can be tools among others. Raises `BridgeError`."""
        ctx.touch(bridge=self.name)
        found = self._server(server, field)
        listed = await found.tools(ctx, fresh=False)
        return [McpTool(tool, server, found) for tool in listed.values() if fits(tool, server)]

    def _server(self, name: str, field: str = "server") -> Server:
        found = self._servers.get(name)
        if found is None:
            there = ", ".join(self.names) or "none; [mcp.servers.NAME] in the config file names one"
            message = f"{field}: there is no MCP server '{name[:80]}' (there are: {there})"
            raise BridgeError("Validation", message, field=field)
        return found
