"""Script engines: the contract, and where a zygote finds the one that it serves."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final, cast

from ._interface import EngineOptions, ScriptEngine, ScriptFailure, is_exhausted

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP: Final = "llmspell.engines"
"""The entry-point group of engines that other packages bring."""

_OURS: Final = {
    "lua": "llmspell_workers.engines._lua:LuaEngine",
    "javascript": "llmspell_workers.engines._javascript:JavaScriptEngine",
}


def load_engine(name: str) -> ScriptEngine:
    """The engine called `name`: ours by a table, which no package can take over, or another's.

    Raises `LookupError` when there is none.
    """
    if name in _OURS:
        module, _, attribute = _OURS[name].partition(":")
        make = getattr(importlib.import_module(module), attribute)
    else:
        from importlib.metadata import entry_points

        found = tuple(entry_points(group=GROUP, name=name))
        if not found:
            raise LookupError(f"there is no engine '{name}'")
        make = found[0].load()
    return cast("Callable[[], ScriptEngine]", make)()


__all__ = [
    "GROUP",
    "EngineOptions",
    "ScriptEngine",
    "ScriptFailure",
    "is_exhausted",
    "load_engine",
]
