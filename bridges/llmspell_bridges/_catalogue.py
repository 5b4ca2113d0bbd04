"""Which bridges there are: ours by a table, others by the entry-point group `llmspell.bridges`.

The table stands before the entry points, so that an installed package cannot take over a name of
ours, and so that a run which needs no other bridge does not scan what is installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ._errors import BridgeError
from ._interface import Bridge

GROUP: Final = "llmspell.bridges"

_OURS: Final = {
    "fs": "llmspell_bridges.fs:FsBridge",
    "http": "llmspell_bridges.http:HttpBridge",
    "library": "llmspell_bridges.library:LibraryBridge",
    "llm": "llmspell_bridges.llm:LlmBridge",
    "mcp": "llmspell_bridges.mcp:McpBridge",
    "memory": "llmspell_bridges.memory:MemoryBridge",
    "notify": "llmspell_bridges.notify:NotifyBridge",
    "rag": "llmspell_bridges.rag:RagBridge",
    "sql": "llmspell_bridges.sql:SqlBridge",
    "storage": "llmspell_bridges.storage:StorageBridge",
    "tools": "llmspell_bridges.tools:ToolsBridge",
    "vector": "llmspell_bridges.vector:VectorBridge",
    "workflow": "llmspell_bridges.workflow:WorkflowBridge",
}


def available() -> tuple[str, ...]:
    """Names of every bridge that is installed, sorted. Reads the metadata of all packages."""
    from importlib.metadata import entry_points

    return tuple(sorted({*_OURS, *(e.name for e in entry_points(group=GROUP))}))


def load(name: str, settings: Mapping[str, Any] | None = None, *, parts: int = 1) -> Bridge:
    """Import the bridge `name` and configure it with its section of the config file.

    `parts` is how many processes have one of that config, which share what it allows them all.

    Raises `BridgeError` of kind `Configuration`: no such bridge, or settings that do not fit
    (`field` names the key).
    """
    declared = _find(name)
    if not settings:
        return declared(
            declared.config().part(parts)
        )  # without the checks, which take 3 ms to build
    try:
        config = msgspec.convert(settings, declared.config)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = ".".join(filter(None, (name, path.strip(".`"))))
        raise BridgeError("Configuration", f"[{field}] {text}", field=field) from None
    return declared(config.part(parts))


def _find(name: str) -> type[Bridge]:
    if name in _OURS:
        module, _, attribute = _OURS[name].partition(":")
        found = getattr(importlib.import_module(module), attribute)
    else:
        from importlib.metadata import entry_points

        points = entry_points(group=GROUP, name=name)
        if not points:
            there = ", ".join(available())
            raise BridgeError("Configuration", f"there is no bridge '{name}'; there are: {there}")
        found = next(iter(points)).load()
    if not (isinstance(found, type) and issubclass(found, Bridge)):
        raise BridgeError("Configuration", f"what is installed as bridge '{name}' is not a Bridge")
    return found
