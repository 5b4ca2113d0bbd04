"""What scripts get from `tools`, and the tools' own arguments where those are maps."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]


class Moment(Struct, frozen=True, kw_only=True):
    """A moment in a time zone."""

    iso: str
    """ISO 8601, with the offset of the zone."""
    unix: float
    """Seconds since 1970."""
    zone: str
    weekday: str
    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int


class ImageInfo(Struct, frozen=True, kw_only=True):
    """What the header of an image says."""

    format: str
    mime: str
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    mode: str
    """How a pixel is stored: `RGB`, `L`, `P`, ..."""
    frames: int


class PdfText(Struct, frozen=True, kw_only=True):
    """The text of a PDF."""

    text: str
    pages: int
    """How many it has in all; those that were read are in `text`."""
    title: str | None


class SearchFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to search."""

    domains: Annotated[list[str], Meta(max_length=20, description="only these sites")] = []
    country: Annotated[Country | None, Meta(description="two letters, such as CH")] = None


class SearchResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page that was found."""

    title: str
    url: str
    snippet: str
    date: str | UnsetType = UNSET


class QueryMetadata(Struct, frozen=True, kw_only=True):
    """About a search."""

    query: str
    provider: str
    count: int
    latency_ms: int


class SearchResponse(Struct, frozen=True, kw_only=True):
    """What a search found."""

    results: list[SearchResult]
    query_metadata: QueryMetadata
