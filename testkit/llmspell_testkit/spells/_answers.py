"""What a test says that models answer, as the model server takes it."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..model_server import Answer, Refusal, Scripted

_FORMS: Final = "a text, {text, pieces, tool, arguments, data} or {status, message, retry_after}"


class _Said(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer: a text, data as JSON, or the wish to use a tool."""

    text: str | None = None
    pieces: tuple[str, ...] = ()
    data: Any = None
    tool: str | None = None
    arguments: dict[str, Any] = {}

    def scripted(self) -> Scripted:
        """As the server takes it."""
        text = self.text
        if text is None:
            text = "".join(self.pieces) if self.data is None else json.dumps(self.data)
        calls = () if self.tool is None else ((self.tool, json.dumps(self.arguments)),)
        return Answer(text, pieces=self.pieces, tool_calls=calls)


class _Refused(Struct, frozen=True, forbid_unknown_fields=True):
    """An error of the provider's."""

    status: int
    message: str = "refused"
    retry_after: float | None = None

    def scripted(self) -> Scripted:
        """As the server takes it."""
        return Refusal(self.status, self.message, self.retry_after)


def scripted(given: Any) -> Scripted:
    """One answer. Raises `ValueError` that says what may be written."""
    if isinstance(given, str):
        return Answer(given)
    if given == []:
        given = {}  # Lua cannot tell the two apart
    if not isinstance(given, dict):
        raise ValueError(f"an answer of a model is {_FORMS}")  # noqa: TRY004 - of a file's value
    if given.get("arguments") == []:
        given = {**given, "arguments": {}}
    try:
        if "status" in given:
            return msgspec.convert(given, _Refused).scripted()
        return msgspec.convert(given, _Said).scripted()
    except msgspec.ValidationError as error:
        raise ValueError(f"an answer of a model is {_FORMS}: {error}") from None
