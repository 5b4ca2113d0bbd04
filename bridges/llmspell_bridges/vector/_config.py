"""The `[vector]` section of the config file, which `[rag]` extends."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .._embedding import LOCAL
from .._kept import StateConfig

Address = Annotated[str, Meta(pattern=r"^(:memory:|https?://[^\s@]+)$")]
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class StoreConfig(StateConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where vectors are kept, what makes them, and how much one owner may keep."""

    qdrant: Annotated[
        Address | None,
        Meta(description="a Qdrant server; without one, a file of SQLite for each owner"),
    ] = None
    api_key_env: Annotated[
        EnvName | None, Meta(description="environment variable that holds the server's key")
    ] = None
    embedding: Annotated[
        str,
        Meta(min_length=1, description=f"what makes vectors of texts: {LOCAL}, or a model of llm"),
    ] = LOCAL
    max_items: Annotated[
        int, Meta(ge=1, le=100_000_000, description="items of one owner, in all collections")
    ] = 100_000
    max_total: Annotated[
        int,
        Meta(ge=1024 * 1024, le=64 * 1024**3, description="bytes of one owner's file of SQLite"),
    ] = 512 * 1024 * 1024


class VectorConfig(StoreConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The bridge `vector`."""
