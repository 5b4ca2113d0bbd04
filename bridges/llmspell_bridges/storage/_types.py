"""What scripts send to `storage` and get back."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Kind = Literal["bytes", "text"]


class PutOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an object is written."""

    overwrite: Annotated[bool, Meta(description="replace an object that is there")] = True


class StoredObject(Struct, frozen=True, kw_only=True):
    """What is known of an object without reading it."""

    path: str
    size: int
    """Bytes."""
    modified: str
    """When it was written, in UTC (ISO 8601)."""
    etag: str | None
    """Tells one version from another; null where the service gives none."""
