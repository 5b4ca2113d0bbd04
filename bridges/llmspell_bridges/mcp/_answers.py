"""From what a server sends to what scripts get. Imports the library."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

import mcp_types as types
import msgspec
from msgspec import UNSET, UnsetType

from .._errors import BridgeError
from ._types import (
    Content,
    Link,
    McpAnswer,
    Media,
    Part,
    Prompt,
    PromptArgument,
    PromptInfo,
    PromptMessage,
    Text,
)

MAX_DESCRIPTION: Final = 4096
"""Characters that a server may say about a tool or a prompt: they go into a model's request."""


def answer(result: types.CallToolResult, what: str) -> McpAnswer:
    """The result of a tool. Raises `BridgeError` of kind `Provider` if it is an error."""
    parts = [_part(block, what) for block in result.content]
    text = _text(parts)
    if result.is_error:
        raise BridgeError("Provider", f"{what}: {text or 'the tool failed and does not say why'}")
    data = UNSET if result.structured_content is None else result.structured_content
    return McpAnswer(content=text, data=data, parts=parts)


def contents(result: types.ReadResourceResult, what: str) -> McpAnswer:
    """What a resource holds."""
    parts: list[Part] = [_content(item, what) for item in result.contents]
    return McpAnswer(content=_text(parts), parts=parts)


def link(resource: types.Resource) -> Link:
    """A resource of a server."""
    return Link(
        uri=resource.uri,
        name=resource.name,
        description=_or_unset(cut(resource.description)),
        mime_type=_or_unset(resource.mime_type),
    )


def prompt_info(prompt: types.Prompt) -> PromptInfo:
    """A prompt of a server."""
    return PromptInfo(
        name=prompt.name,
        description=cut(prompt.description),
        arguments=[
            PromptArgument(name=a.name, description=cut(a.description), required=bool(a.required))
            for a in prompt.arguments or ()
        ],
    )


def prompt(result: types.GetPromptResult, what: str) -> Prompt:
    """A prompt that has been filled in."""
    messages = []
    for message in result.messages:
        part = _part(message.content, what)
        content: str | list[Part] = part.text if isinstance(part, Text) else [part]
        messages.append(PromptMessage(role=message.role, content=content))
    return Prompt(description=cut(result.description), messages=messages)


def plain(found: McpAnswer) -> Any:
    """An answer as the result of a tool among others, and for models: its data, or its text."""
    if found.data is not UNSET:
        return found.data
    if all(isinstance(part, Text) for part in found.parts):
        return found.content
    return msgspec.to_builtins(found)  # bytes as base64


def cut(text: str | None) -> str:
    """A description within bounds."""
    return (text or "")[:MAX_DESCRIPTION]


def _part(block: types.ContentBlock, what: str) -> Part:
    match block:
        case types.TextContent():
            return Text(text=block.text)
        case types.ImageContent() | types.AudioContent():
            return Media(mime_type=block.mime_type, data=_bytes(block.data, what))
        case types.EmbeddedResource():
            return _content(block.resource, what)
        case types.ResourceLink():
            return link(block)
        case _:
            raise BridgeError("Provider", f"{what}: the server's answer breaks the protocol")


def _content(item: types.TextResourceContents | types.BlobResourceContents, what: str) -> Content:
    if isinstance(item, types.TextResourceContents):
        return Content(uri=item.uri, mime_type=_or_unset(item.mime_type), text=item.text)
    data = _bytes(item.blob, what)
    return Content(uri=item.uri, mime_type=_or_unset(item.mime_type), data=data)


def _text(parts: Sequence[Part]) -> str:
    texts = (part.text for part in parts if isinstance(part, Text | Content))
    return "\n".join(text for text in texts if text is not UNSET)


def _bytes(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BridgeError("Provider", f"{what}: the server's bytes are not base64") from None


def _or_unset(text: str | None) -> str | UnsetType:
    return text or UNSET
