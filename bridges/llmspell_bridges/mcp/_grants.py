"""What of the supervisor's environment a server gets: what its section of the config names."""

from __future__ import annotations

import os
from typing import Final

from .._errors import BridgeError
from .._secret import Secret, hidden
from ._config import McpServerConfig

_ALWAYS: Final = ("PATH", "HOME")
"""Without these few programs start."""


def environment(name: str, config: McpServerConfig) -> dict[str, str]:
    """Of a program. Raises `BridgeError` of kind `Configuration`."""
    found = {key: os.environ[key] for key in _ALWAYS if key in os.environ}
    return found | {key: _granted(name, key, "env") for key in config.env}


def bearer(name: str, config: McpServerConfig) -> Secret | None:
    """The token for an address. Raises `BridgeError` of kind `Configuration`."""
    key = config.api_key_env
    return None if key is None else Secret(_granted(name, key, "api_key_env"))


def never_shown(config: McpServerConfig) -> tuple[str, ...]:
    """What a server may know and no script may see."""
    key = os.environ.get(config.api_key_env or "")
    return hidden(Secret(key) if key else None, config.headers)


def _granted(name: str, key: str, option: str) -> str:
    if value := os.environ.get(key):
        return value
    field = f"mcp.servers.{name}.{option}"
    message = f"{key} is not set: export it for the MCP server {name}"
    raise BridgeError("Configuration", message, field=field)
