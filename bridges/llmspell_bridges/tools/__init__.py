"""The bridge `tools`. Imports nothing heavy: each library comes with the first tool that needs it."""

from __future__ import annotations

from ._bridge import ToolsBridge
from ._config import ToolsConfig

__all__ = ["ToolsBridge", "ToolsConfig"]
