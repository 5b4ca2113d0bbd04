"""The bridge `storage`: objects in S3, Google's, Azure's or local stores."""

from __future__ import annotations

from ._bridge import StorageBridge
from ._config import ObjectStoreConfig, StorageConfig

__all__ = ["ObjectStoreConfig", "StorageBridge", "StorageConfig"]
