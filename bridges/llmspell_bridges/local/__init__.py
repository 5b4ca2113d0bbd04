"""The local model: real answers with no key and no network. Trusted side.

Read in this order: `_config.py` (what may be set), `_store.py` and `_fetch.py` (the cache of
models), `_manager.py` (start, restart, end), `_process.py` (one process, from outside),
`_server.py` (the same process, from inside, and what it may do).

Names are imported when they are first used: every run reads the settings, few start the model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._config import LocalConfig
    from ._manager import LocalModel
    from ._process import Endpoint
    from ._store import ModelInfo, ModelStoreError, find, install, list_models, remove, store_root

_HOMES: Final = {
    "Endpoint": "_process",
    "LocalConfig": "_config",
    "LocalModel": "_manager",
    "ModelInfo": "_store",
    "ModelStoreError": "_store",
    "find": "_store",
    "install": "_store",
    "list_models": "_store",
    "remove": "_store",
    "store_root": "_store",
}

__all__ = [
    "Endpoint",
    "LocalConfig",
    "LocalModel",
    "ModelInfo",
    "ModelStoreError",
    "find",
    "install",
    "list_models",
    "remove",
    "store_root",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
