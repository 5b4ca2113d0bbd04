"""What a tool says of itself."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Source = Literal["builtin", "spell", "agent", "mcp"]


class ToolInfo(Struct, frozen=True, kw_only=True):
    """A tool as it is offered to scripts and models."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of its arguments."""
    source: Source
    """Whether it is built in, a function of the spell, another agent, or of an MCP server."""


class Validity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether something would do as it is."""

    valid: bool
    message: str | UnsetType = UNSET
    field: str | UnsetType = UNSET
    """What is wrong."""


class Health(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a tool can be used here."""

    healthy: bool
    message: str | UnsetType = UNSET
    """What is missing, and how to get it."""
