"""What scripts send to `notify`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Message(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message to people."""

    body: Annotated[str, Meta(min_length=1, description="what it says, as plain text")]
    title: Annotated[str, Meta(max_length=200, description="subject or heading, one line")] = ""
    level: Annotated[
        Literal["info", "success", "warning", "failure"], Meta(description="how it is shown")
    ] = "info"
