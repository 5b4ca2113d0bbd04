"""What scripts send to `rag` and get back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ..llm import TokenUsage

Format = Literal["text", "markdown", "html", "pdf"]
Source = Annotated[str, Meta(min_length=1, max_length=1000)]
Limit = Annotated[int, Meta(ge=1, le=100)]


class Document(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something to read: `text`, `data` or a file at `path`."""

    text: Annotated[str | None, Meta(description="the document as text")] = None
    data: Annotated[Any, Meta(description="the document as bytes, such as a PDF")] = None
    path: Annotated[
        str | None, Meta(description="a file in a directory that the spell may read")
    ] = None
    source: Annotated[
        Source | None, Meta(description="what answers call it; an older one is replaced")
    ] = None
    format: Annotated[
        Format | None, Meta(description="by the suffix of path or source, if not said; else text")
    ] = None
    metadata: Annotated[dict[str, Any], Meta(description="what filters look at")] = {}


class Folder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Files to read."""

    path: Annotated[str, Meta(description="a directory that the spell may read")]
    pattern: Annotated[
        str, Meta(max_length=200, description="which files, by their path below it: *.md")
    ] = "*"
    metadata: Annotated[dict[str, Any], Meta(description="what filters look at")] = {}


class Question(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for."""

    question: Annotated[str, Meta(min_length=1, max_length=65_536, description="the question")]
    limit: Annotated[Limit, Meta(description="passages at most")] = 5
    filter: Annotated[
        dict[str, Any], Meta(description="conditions, as those of vector.search")
    ] = {}
    hybrid: Annotated[bool, Meta(description="count words as well as likeness")] = False
    model: Annotated[str | None, Meta(description="model that answers, as for llm.complete")] = None
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="tokens of the answer at most")
    ] = None


class Ingested(Struct, frozen=True, kw_only=True):
    """What became of a document."""

    source: str
    chunks: int
    """Passages."""


class Skipped(Struct, frozen=True, kw_only=True):
    """A file that was not taken in."""

    source: str
    reason: str


class IngestedFolder(Struct, frozen=True, kw_only=True):
    """What became of a folder."""

    documents: list[Ingested]
    skipped: list[Skipped]


class Passage(Struct, frozen=True, kw_only=True):
    """A part of a document."""

    text: str
    source: str
    chunk: int
    """Which part, from 0."""
    score: float
    metadata: dict[str, Any]


class Answer(Struct, frozen=True, kw_only=True):
    """What the model said, and from what."""

    content: str
    sources: list[Passage]
    """What the model was given, in the order of the numbers by which it cites."""
    usage: TokenUsage
    cost: float | None
    model: str
