"""The bridge `tools`: what is built in, what a spell registers, and what MCP servers have."""

from __future__ import annotations

import functools
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from .._context import CallContext
from .._effects import PERFORMED
from .._interface import method
from ..toolbox import (
    BuiltinTool,
    Health,
    ScriptTool,
    Tool,
    Toolbox,
    ToolInfo,
    ToolOptions,
    Validity,
)
from ._builtin import MISSING, BuiltinTools

Arguments = dict[str, Any]
Infos = list[ToolInfo]  # in the class, `list` is a method

_NONE: Arguments = {}


class ToolsBridge(BuiltinTools):
    """Tools for spells and their agents: built in, functions of the spell, of MCP servers."""

    name: ClassVar[str] = "tools"

    @method(effect="varies")
    async def call(
        self,
        ctx: CallContext,
        name: Annotated[str, Meta(description="of the tool, exactly")],
        arguments: Annotated[Arguments, Meta(description="what it is given, by name")] = _NONE,
    ) -> Any:
        """Call a tool by its name. Arguments are checked against its schema."""
        tool = await self.toolbox(ctx).get(ctx, name)
        ctx.note(tool=name)
        if ctx.dry_run and tool.effect not in PERFORMED:
            return await tool.plan(ctx, arguments)
        return await tool.call(ctx, arguments)

    @method(effect="read")
    async def list(self, ctx: CallContext) -> Infos:
        """The tools that this spell may use, with the JSON Schemas of their arguments."""
        return [tool.info() for tool in await self.toolbox(ctx).all(ctx)]

    @method(effect="read")
    async def validate(
        self,
        ctx: CallContext,
        name: Annotated[str, Meta(description="of the tool, exactly")],
        arguments: Annotated[Arguments, Meta(description="what it would be given")] = _NONE,
    ) -> Validity:
        """Whether a tool would take these arguments. It is not called."""
        return await (await self.toolbox(ctx).get(ctx, name)).validate(arguments)

    @method(effect="read")
    async def health(
        self, ctx: CallContext, name: Annotated[str, Meta(description="of the tool, exactly")]
    ) -> Health:
        """Whether a tool can be used here: its package is installed, its key is set."""
        return await (await self.toolbox(ctx).get(ctx, name)).health(ctx)

    @method(effect="read")
    async def register(self, ctx: CallContext, tool: ToolOptions) -> None:
        """Make a function of the spell a tool, until the spell ends."""
        self.toolbox(ctx).add(await ScriptTool.of(tool, ""))

    def toolbox(self, ctx: CallContext) -> Toolbox:
        """The tools of a run, for this bridge and for others."""
        servers = ctx.bridges.get("mcp")
        from ..mcp import McpBridge

        granted = servers if isinstance(servers, McpBridge) else None
        return ctx.state("tools", lambda: Toolbox(self._builtins, granted))

    @functools.cached_property
    def _builtins(self) -> tuple[Tool, ...]:
        return tuple(
            BuiltinTool(self, getattr(type(self), name), missing)
            for name, missing in MISSING.items()
            if self.is_granted(name)
        )
