"""The bridge `http`: the web, through a gate that looks at every address. httpx comes with the first call."""

from __future__ import annotations

from ._bridge import HttpBridge
from ._config import HttpConfig, SecretConfig

__all__ = ["HttpBridge", "HttpConfig", "SecretConfig"]
