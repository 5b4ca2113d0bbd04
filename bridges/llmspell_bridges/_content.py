"""Text or bytes from a script: no decoder tells the two apart by type, so it is done here."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from ._errors import BridgeError

Content = Annotated[Any, Meta(description="text (sent as UTF-8), or bytes")]
"""The annotation of such a parameter or option."""


def octets(value: Any, field: str) -> bytes:
    """Text or bytes as bytes. Raises `BridgeError` that names `field` for anything else."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    given = {bool: "boolean", int: "integer", float: "number", list: "list", dict: "map"}
    what = given.get(type(value), "null")
    message = f"{field}: expected string or bytes, got {what}"
    raise BridgeError("Validation", message, field=field)
