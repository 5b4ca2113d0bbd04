"""The tools of one run, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from .._errors import BridgeError
from ._tool import Tool

if TYPE_CHECKING:
    from .._context import CallContext

MAX_TOOLS: Final = 256
"""Tools of one run. Providers of models take half of that in one request."""


class ToolServers(Protocol):
    """Servers that have tools, and are started when somebody asks for them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the servers."""

    def owner(self, tool: str) -> str | None:
        """The server that a tool of this name is of; none if it is no server's."""

    async def offered(self, ctx: CallContext, server: str, field: str) -> Sequence[Tool]:
        """The tools of a server. Raises `BridgeError` that names `field`."""


class Toolbox:
    """Finds tools by their exact names. A name cannot be taken twice, nor one that looks alike."""

    def __init__(self, tools: Iterable[Tool], servers: ToolServers | None = None) -> None:
        self._tools: dict[str, Tool] = {tool.name: tool for tool in tools}
        self._servers = servers

    async def all(self, ctx: CallContext) -> Sequence[Tool]:
        """All of them, sorted by name; those of servers that cannot be asked are not among them."""
        found = dict(self._tools)
        for server in self._servers.names if self._servers else ():
            found |= await self._offered(ctx, server)
        return [found[name] for name in sorted(found)]

    async def get(self, ctx: CallContext, name: str, field: str = "name") -> Tool:
        """The tool of that name. Raises `BridgeError` that names `field`.

        Starts the server that the tool is of, and raises why it cannot be.
        """
        there = self._tools
        if self._servers and (owner := self._servers.owner(name)):
            offered = await self._servers.offered(ctx, owner, field)
            there = {tool.name: tool for tool in offered}
        tool = there.get(name)
        if tool is None:
            import difflib

            near = difflib.get_close_matches(name, there, 1, 0.6)
            hint = f"did you mean '{near[0]}'?" if near else "see tools.list()"
            message = f"{field}: there is no tool '{name[:80]}' for this spell; {hint}"
            raise BridgeError("Validation", message, field=field)
        return tool

    def add(self, tool: Tool) -> None:
        """Take a tool in. Raises `BridgeError`."""
        if self._servers and (owner := self._servers.owner(tool.name)):
            message = f"name: '{tool.name}' is the name of a tool of the MCP server {owner}"
            raise BridgeError("Validation", message, field="name")
        taken = {likeness(name) for name in self._tools}
        if likeness(tool.name) in taken:
            message = f"name: there is a tool '{tool.name}', or one that looks alike"
            raise BridgeError("Validation", message, field="name")
        if len(self._tools) >= MAX_TOOLS:
            raise BridgeError("Limit", f"a spell has at most {MAX_TOOLS} tools", field="name")
        self._tools[tool.name] = tool

    async def _offered(self, ctx: CallContext, server: str) -> dict[str, Tool]:
        assert self._servers is not None
        try:
            return {tool.name: tool for tool in await self._servers.offered(ctx, server, "server")}
        except BridgeError:
            return {}  # one that is broken must not hide the tools of the others


def likeness(name: str) -> str:
    """What two names have in common that a model might take for each other."""
    return name.casefold().replace("-", "_")
