"""A host for the tools under test."""

from __future__ import annotations

from typing import Any

from llmspell_bridges import BridgeError, load
from tests.bridges.host import Host


def tools_host(settings: dict[str, Any] | None = None, **policy: Any) -> Host:
    """A host with the bridge `tools`, which the spell is granted."""
    return Host(load("tools", settings), allow_bridges=("tools",), **policy)


def call(name: str, arguments: Any, host: Host | None = None) -> Any:
    """What the tool `name` gives for `arguments`, by name."""
    host = host or tools_host()
    return host.run(lambda: host.call("tools.call", name, arguments))


def refused(name: str, arguments: Any, host: Host | None = None) -> tuple[str, str, str | None]:
    """How it fails: kind, message and field."""
    try:
        value = call(name, arguments, host)
    except BridgeError as error:
        return error.kind, error.message, error.field
    raise AssertionError(f"it gave {value!r}")
