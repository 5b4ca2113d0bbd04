"""A function of the spell as a tool."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from llmspell_protocol import ScriptFunction

from .._context import CallContext
from .._errors import BridgeError
from ._schema import Schema
from ._tool import NAME, Tool


class ToolOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tool that the spell makes."""

    name: Annotated[str, Meta(description="letters, digits, _ and -, 64 at most")]
    description: Annotated[str, Meta(description="what it does, for models")] = ""
    parameters: Annotated[
        dict[str, Any] | list[Any], Meta(description="JSON Schema of its arguments, an object")
    ] = {}
    handler: Annotated[
        ScriptFunction, Meta(description="called with the arguments; what it returns is the result")
    ]


class ScriptTool(Tool):
    """Calls back into the script. Made by `ScriptTool.of`."""

    source = "spell"
    effect = "varies"  # what its function calls, it calls by itself

    def __init__(self, options: ToolOptions, schema: Schema) -> None:
        super().__init__(options.name, options.description)
        self._handler = options.handler
        self._schema = schema

    @classmethod
    async def of(cls, options: ToolOptions, at: str) -> ScriptTool:
        """The tool that a spell describes. Raises `BridgeError`; fields are prefixed with `at`."""
        if not NAME.fullmatch(options.name):
            message = f"{at}name: letters, digits, _ and -, at most 64, the first one a letter"
            raise BridgeError("Validation", message, field=f"{at}name")
        schema = await Schema.of(options.parameters, f"{at}parameters", arguments=True)
        return cls(options, schema)

    @property
    def parameters(self) -> dict[str, Any]:
        """The schema that the spell gave, closed."""
        return self._schema.definition

    async def check(self, arguments: Any) -> Any:
        """The arguments themselves."""
        found = {} if arguments == [] else arguments  # an empty table of Lua
        await self._schema.check(found, self.name)
        return found

    async def execute(self, ctx: CallContext, arguments: Any) -> Any:
        """Call the function."""
        return await ctx.invoke(self._handler, arguments)
