"""The `[memory]` section of the config file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .._kept import StateConfig


class MemoryConfig(StateConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where memory is kept, who shares it, and how much one owner may keep."""

    max_entries: Annotated[
        int, Meta(ge=1, le=10_000_000, description="keys and turns of one owner together")
    ] = 10_000
    max_value: Annotated[int, Meta(ge=1, le=64 * 1024 * 1024, description="bytes of one value")] = (
        256 * 1024
    )
    max_total: Annotated[
        int, Meta(ge=1, le=64 * 1024**3, description="bytes of all values of one owner")
    ] = 64 * 1024 * 1024
