"""What scripts send to `vector` and get back, and what a store is."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct

from ._filter import Condition

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Vector = Annotated[list[float], Meta(min_length=1, max_length=4096)]
Text = Annotated[str, Meta(max_length=65_536)]


class Item(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something to find: a vector, or a text that becomes one."""

    id: Annotated[Id, Meta(description="its name in the collection; an older one is replaced")]
    vector: Annotated[Vector | None, Meta(description="made of text, if not given")] = None
    text: Annotated[Text | None, Meta(description="what it says; hybrid search reads it")] = None
    metadata: Annotated[dict[str, Any], Meta(description="what filters look at")] = {}


class Search(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for."""

    text: Annotated[Text | None, Meta(description="a text, of which a vector is made")] = None
    vector: Annotated[Vector | None, Meta(description="a vector")] = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="matches at most")] = 10
    filter: Annotated[
        dict[str, Any],
        Meta(description="conditions on metadata: {lang = 'en', year = {gte = 1990}}"),
    ] = {}
    hybrid: Annotated[bool, Meta(description="count words of text as well as likeness")] = False


class Match(Struct, frozen=True, kw_only=True):
    """Something found, the most alike first."""

    id: str
    score: float
    """Cosine of the angle, 1 for the same direction; of a hybrid search, from the two ranks."""
    text: str | None
    metadata: dict[str, Any]


class Collection(Struct, frozen=True, kw_only=True):
    """A collection of one owner."""

    name: str
    dimensions: int
    count: int


class Point(Struct, frozen=True):
    """An item with its vector."""

    id: str
    vector: list[float]
    text: str | None
    metadata: dict[str, Any]


class Query(Struct, frozen=True, kw_only=True):
    """A search with its vector; `words` are for full text, and empty unless it is hybrid."""

    vector: list[float]
    words: str = ""
    limit: int
    conditions: list[Condition]
    most: int
    """Bytes of texts and metadata that the matches may have together."""


class Store(Protocol):
    """The collections of one owner. Blocking; each change is whole or not at all."""

    def upsert(self, name: str, points: list[Point]) -> int:
        """Put points in, and make the collection if there is none. How many were put in."""

    def search(self, name: str, query: Query) -> list[Match]:
        """The most alike first; none where there is no such collection."""

    def delete(self, name: str, ids: list[str]) -> int:
        """Remove points. How many there were."""

    def delete_where(self, name: str, conditions: list[Condition]) -> int:
        """Remove the points that meet all conditions. How many there were."""

    def count(self, name: str, conditions: list[Condition]) -> int:
        """Points that meet all conditions."""

    def collections(self) -> list[Collection]:
        """Every collection, by name."""

    def drop(self, name: str) -> bool:
        """Remove a collection. Whether there was one."""
