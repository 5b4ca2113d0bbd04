"""What scripts send to `fs` and get back."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Kind = Literal["file", "directory", "link", "other"]
Offset = Annotated[int, Meta(ge=0)]


class ReadOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which part of a file is read, and as what."""

    encoding: Annotated[
        Literal["utf-8", "bytes"], Meta(description="text, or bytes as they are")
    ] = "utf-8"
    offset: Annotated[Offset, Meta(description="bytes that are skipped")] = 0
    length: Annotated[Offset | None, Meta(description="bytes at most; null is the rest")] = None


class WriteOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a file is written."""

    overwrite: Annotated[bool, Meta(description="replace a file that is there already")] = True


class Entry(Struct, frozen=True, kw_only=True):
    """One entry of a directory."""

    name: str
    kind: Kind


class Stat(Struct, frozen=True, kw_only=True):
    """What a path names."""

    kind: Kind
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970 (UTC)."""


class Granted(Struct, frozen=True, kw_only=True):
    """Directories of this run, as absolute paths."""

    read: list[str]
    write: list[str]
