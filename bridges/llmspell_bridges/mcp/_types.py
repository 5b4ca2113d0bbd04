"""What scripts get from `mcp`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from .._objects import TextAnswer


class ServerInfo(Struct, frozen=True, kw_only=True):
    """A server that the spell may use."""

    name: str
    transport: Literal["stdio", "http"]
    running: bool
    """Whether it has been started, or is connected; it will be when it is needed."""


class McpToolInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool of a server."""

    name: str
    description: str
    parameters: dict[str, Any] | UnsetType = UNSET
    """JSON Schema of its arguments."""
    problem: str | UnsetType = UNSET
    """Why it cannot be called: the server describes its arguments by what is no usable schema."""


class Text(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A text."""

    text: str


class Media(Struct, frozen=True, kw_only=True, tag_field="type", tag="media"):
    """An image or a sound."""

    mime_type: str
    data: bytes


class Content(Struct, frozen=True, kw_only=True, tag_field="type", tag="resource", omit_defaults=True):  # fmt: skip
    """What a resource holds: text or bytes."""

    uri: str
    mime_type: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    data: bytes | UnsetType = UNSET


class Link(Struct, frozen=True, kw_only=True, tag_field="type", tag="link", omit_defaults=True):
    """A resource that can be read."""

    uri: str
    name: str
    description: str | UnsetType = UNSET
    mime_type: str | UnsetType = UNSET


Part = Text | Media | Content | Link


class McpAnswer(TextAnswer, frozen=True, kw_only=True):
    """What a tool or a resource gives: a text, and what else there is. `content` is its text."""

    data: Any = UNSET
    """The structured result of a tool."""
    parts: list[Part]
    """All that it consists of, in order."""


class PromptArgument(Struct, frozen=True, kw_only=True):
    """What a prompt wants to be told."""

    name: str
    description: str
    required: bool


class PromptInfo(Struct, frozen=True, kw_only=True):
    """A prompt of a server."""

    name: str
    description: str
    arguments: list[PromptArgument]


class PromptMessage(Struct, frozen=True, kw_only=True):
    """A message of a prompt, as models take it if it is a text."""

    role: Literal["user", "assistant"]
    content: str | list[Part]


class Prompt(Struct, frozen=True, kw_only=True):
    """A prompt that has been filled in."""

    description: str
    messages: list[PromptMessage]
