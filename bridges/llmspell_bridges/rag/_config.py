"""The `[rag]` section of the config file: that of `vector`, and how documents are read."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ..vector import StoreConfig


class RagConfig(StoreConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How documents are read and cut."""

    chunk_size: Annotated[
        int, Meta(ge=100, le=60_000, description="characters of a passage at most")
    ] = 1200
    chunk_overlap: Annotated[
        int, Meta(ge=0, le=30_000, description="characters that neighbours share")
    ] = 150
    max_document: Annotated[
        int, Meta(ge=1, le=256 * 1024 * 1024, description="bytes of one document, read or given")
    ] = 4 * 1024 * 1024
    max_files: Annotated[
        int, Meta(ge=1, le=100_000, description="files of one folder that are looked at")
    ] = 1000
