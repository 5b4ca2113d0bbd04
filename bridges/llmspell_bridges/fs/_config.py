"""The `[fs]` section of the config file. Quotas are for one run."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .._interface import BridgeConfig


class FsConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of the granted directories one run may use."""

    max_written: Annotated[
        int, Meta(ge=0, description="bytes that a run may write, appended ones included")
    ] = 64 << 20
    """Six answers of the largest size. A disk is filled by a loop, not by a report."""
    max_files: Annotated[
        int, Meta(ge=0, description="files and directories that a run may create")
    ] = 1000
    """Every one costs an inode, however small it is."""
    max_entries: Annotated[
        int, Meta(ge=0, description="directory entries that a run may look at")
    ] = 100_000
    """A tree of sources with its dependencies; half a second of work."""
    allow_names: Annotated[
        tuple[str, ...],
        Meta(description="names that spells may write although programs run them by themselves"),
    ] = ()
