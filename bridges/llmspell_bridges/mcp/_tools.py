"""The tools of a server, found usable or not. Imports nothing heavy."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import UNSET

from .._context import CallContext
from .._errors import BridgeError
from ..toolbox import Schema, Tool
from ..toolbox._tool import NAME
from ._types import McpAnswer, McpToolInfo

if TYPE_CHECKING:
    import mcp_types as types

SEPARATOR: Final = "__"
"""Between a server and its tool, where tools of all kinds are together: the one thing that models'
providers take in a name and that names of servers do not hold."""


class Caller(Protocol):
    """Who calls a tool: the server that has it."""

    async def call(self, ctx: CallContext, tool: str, arguments: dict[str, Any]) -> McpAnswer:
        """Call it by its name. Raises `BridgeError`."""


class McpTool(Tool):
    """A tool of a server, under a name that is its own among all tools. Made by `McpTool.of`."""

    source = "mcp"
    method = "mcp.call"

    def __init__(self, listed: Listed, server: str, caller: Caller) -> None:
        super().__init__(f"{server}{SEPARATOR}{listed.name}", listed.description)
        self._listed = listed
        self._caller = caller

    @property
    def parameters(self) -> dict[str, Any]:
        """The schema that the server gave, closed."""
        return self._listed.schema.definition

    async def check(self, arguments: Any) -> Any:
        """The arguments themselves."""
        return await self._listed.check(arguments, self.name)

    async def execute(self, ctx: CallContext, arguments: Any) -> Any:
        """Call the tool."""
        from ._answers import plain

        return plain(await self._caller.call(ctx, self._listed.name, arguments))


class Listed:
    """A tool as its server describes it."""

    def __init__(
        self,
        name: str,
        description: str,
        takes: Schema | str,
        gives: Schema | None,
    ) -> None:
        """`takes` is the schema of the arguments, or why there is none."""
        self.name: str = name
        self.description: str = description
        self._takes = takes
        self.gives: Schema | None = gives

    @classmethod
    async def of(cls, tool: types.Tool) -> Listed:
        """The tool that a server describes."""
        from ._answers import cut

        takes: Schema | str
        try:
            takes = await Schema.of(_open(tool.input_schema), "parameters", arguments=True)
        except BridgeError as error:
            takes = error.message
        gives = None
        if tool.output_schema is not None:
            try:
                gives = await Schema.of(tool.output_schema, "result")
            except BridgeError:
                gives = None  # then the result is taken as it is: there is nothing to hold it to
        return cls(tool.name, cut(tool.description), takes, gives)

    @property
    def schema(self) -> Schema:
        """Of the arguments. Raises `BridgeError` of kind `Provider` if there is no usable one."""
        if isinstance(self._takes, str):
            message = f"{self.name}: the server's schema cannot be used: {self._takes}"
            raise BridgeError("Provider", message)
        return self._takes

    @property
    def is_usable(self) -> bool:
        """Whether it can be called."""
        return isinstance(self._takes, Schema)

    async def check(self, arguments: Any, what: str) -> dict[str, Any]:
        """The arguments, found fitting. Raises `BridgeError` that names the field."""
        found: dict[str, Any] = {} if arguments == [] else arguments  # an empty table of Lua
        await self.schema.check(found, what)
        return found

    def info(self) -> McpToolInfo:
        """How it is shown to scripts."""
        takes = self._takes
        return McpToolInfo(
            name=self.name,
            description=self.description,
            parameters=takes.definition if isinstance(takes, Schema) else UNSET,
            problem=takes if isinstance(takes, str) else UNSET,
        )


def fits(listed: Listed, server: str) -> bool:
    """Whether it can be a tool among others: the rules for their names are narrower."""
    return listed.is_usable and bool(NAME.fullmatch(f"{server}{SEPARATOR}{listed.name}"))


def is_granted(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether the operator lets spells use the tool `name`."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that names no argument means that it takes any; others are closed."""
    return schema if schema.get("properties") else {"additionalProperties": True, **schema}
