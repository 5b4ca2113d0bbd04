"""The bridge `sql`: SQLite files and PostgreSQL servers that the config names."""

from __future__ import annotations

from ._bridge import SqlBridge
from ._config import DatabaseConfig, SqlConfig

__all__ = ["DatabaseConfig", "SqlBridge", "SqlConfig"]
