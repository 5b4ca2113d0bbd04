"""What a tool is, whoever made it."""

from __future__ import annotations

import re
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from llmspell_protocol import ArgumentError, Signature

from .._effects import Effect, zero
from .._errors import BridgeError
from .._interface import effect_of
from ._types import Health, Source, ToolInfo, Validity

if TYPE_CHECKING:
    from .._context import CallContext

B = TypeVar("B")

Missing = Callable[[B, "CallContext"], Awaitable[str]]
"""Tells what a tool of some bridge lacks in a run."""

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
"""What a tool may be called: what every provider of models takes."""


class Tool(ABC):
    """Something that a script or a model calls by name, with a map of arguments."""

    source: Source
    method: str = "tools.call"
    """What a script would call for it; what its use by a model counts as."""
    effect: Effect = "send"
    """What it does to the world, as far as anybody knows."""

    def __init__(self, name: str, description: str) -> None:
        self.name: str = name
        self.description: str = description

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments: an object that refuses what it does not mention."""

    @abstractmethod
    async def check(self, arguments: Any) -> Any:
        """The arguments as `execute` takes them. Raises `BridgeError` that names the field."""

    @abstractmethod
    async def execute(self, ctx: CallContext, arguments: Any) -> Any:
        """Do it, with what `check` has returned. Raises `BridgeError`, `BudgetExceeded`."""

    async def missing(self, ctx: CallContext) -> str:  # noqa: ARG002 - for those that ask it
        """What it lacks here, and how to get it; empty if nothing."""
        return ""

    async def call(self, ctx: CallContext, arguments: Any) -> Any:
        """Check the arguments, and do it."""
        return await self.execute(ctx, await self.check(arguments))

    async def plan(self, ctx: CallContext, arguments: Any) -> Any:
        """Check the arguments, and list in a dry run what is not done; what is answered in its place."""
        await self.check(arguments)
        ctx.plan_call(self.effect, self.name, arguments)
        return self.nothing()

    def nothing(self) -> Any:
        """A result that says nothing."""
        return None

    async def validate(self, arguments: Any) -> Validity:
        """Whether it would take these arguments. Does nothing else."""
        try:
            await self.check(arguments)
        except BridgeError as error:
            return Validity(valid=False, message=error.message, field=error.field or msgspec.UNSET)
        return Validity(valid=True)

    async def health(self, ctx: CallContext) -> Health:
        """Whether it can be used here."""
        missing = await self.missing(ctx)
        return Health(healthy=False, message=missing) if missing else Health(healthy=True)

    def info(self) -> ToolInfo:
        """How it is offered to scripts and models."""
        return ToolInfo(
            name=self.name,
            description=self.description,
            parameters=self.parameters,
            source=self.source,
        )


class BuiltinTool(Tool, Generic[B]):
    """A method of a bridge as a tool. Everything is derived from the method's declaration."""

    source = "builtin"

    def __init__(self, owner: B, function: Callable[..., Any], missing: Missing[B]) -> None:
        """`missing` says what the tool lacks here."""
        self._owner = owner
        self._function = function
        self._missing = missing
        self._takes = Signature(function, skip=("self", "ctx"))
        self._shape = _shape(function, self._takes)
        self._named = Signature(_taking(self._shape), skip=())
        super().__init__(function.__name__, self._takes.doc)
        self.method = f"tools.{self.name}"
        self.effect = effect_of(function)

    @property
    def parameters(self) -> dict[str, Any]:
        """Derived from the parameters of the method."""
        _, parts = msgspec.json.schema_components([self._shape], ref_template="#/$defs/{name}")
        own = parts.pop(self._shape.__name__)
        own.pop("title", None)
        return {**own, "$defs": parts} if parts else own

    async def check(self, arguments: Any) -> Any:
        """The values of the method's parameters."""
        try:
            [found] = self._named.decode(msgspec.msgpack.encode([arguments]))
        except ArgumentError as error:
            message = f"{self.name}: {error}"
            raise BridgeError("Validation", message, field=error.field) from None
        return msgspec.structs.astuple(found)

    async def execute(self, ctx: CallContext, arguments: Any) -> Any:
        """Call the method."""
        return await self._function(self._owner, ctx, *arguments)

    def nothing(self) -> Any:
        """The zero of the result's type."""
        return zero(self._takes.result_type)

    async def missing(self, ctx: CallContext) -> str:
        """What the tool's own check says."""
        return await self._missing(self._owner, ctx)


def _shape(function: Callable[..., Any], signature: Signature) -> type[msgspec.Struct]:
    """A `Struct` with the parameters of a method as its fields."""
    hints = typing.get_type_hints(function, include_extras=True)
    fields: list[Any] = [
        (p.name, hints[p.name]) if p.required else (p.name, hints[p.name], p.default)
        for p in signature.parameters
    ]
    return msgspec.defstruct(f"{signature.name}_options", fields, forbid_unknown_fields=True)


def _taking(shape: type[msgspec.Struct]) -> Callable[..., Any]:
    """A function that takes one `shape`: its signature decodes as that of a bridge method does."""

    def arguments(arguments: Any) -> None: ...

    taking = types.FunctionType(arguments.__code__, {}, shape.__name__)
    taking.__annotations__ = {"arguments": shape, "return": None}
    return taking


def lacks_package(module: str, extra: str) -> str:
    """What to say of a package that is not installed; empty if it is."""
    from importlib.util import find_spec

    if find_spec(module) is not None:
        return ""
    return f"{module} is not installed: pip install 'llmspell-supervisor[{extra}]'"
