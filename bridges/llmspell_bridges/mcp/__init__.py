"""The bridge `mcp`. Imports nothing heavy: the protocol's library comes with the first server."""

from __future__ import annotations

from ._bridge import McpBridge
from ._config import McpConfig, McpServerConfig

__all__ = ["McpBridge", "McpConfig", "McpServerConfig"]
