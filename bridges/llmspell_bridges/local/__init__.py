"""The local model: real answers with no key and no network. Trusted side.

Read in this order: `_config.py` (what may be set), `_store.py` and `_fetch.py` (the cache of
models), `_manager.py` (start, restart, end), `_process.py` (one process, from outside),
`_server.py` (the same process, from inside, and what it may do).
"""

from __future__ import annotations

from ._config import LocalConfig
from ._manager import LocalModel
from ._process import Endpoint
from ._store import ModelInfo, ModelStoreError, find, install, list_models, remove, store_root

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
