"""The bridge `rag`: documents cut up, found again, and answered from."""

from __future__ import annotations

from ._bridge import RagBridge
from ._config import RagConfig

__all__ = ["RagBridge", "RagConfig"]
