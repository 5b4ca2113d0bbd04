"""The bridge `fs`: files under granted directories, and nothing else of this machine."""

from __future__ import annotations

from ._bridge import FsBridge
from ._config import FsConfig

__all__ = ["FsBridge", "FsConfig"]
