"""The bridge `memory`: values and conversations that outlive a run."""

from __future__ import annotations

from ._bridge import MemoryBridge
from ._config import MemoryConfig

__all__ = ["MemoryBridge", "MemoryConfig"]
