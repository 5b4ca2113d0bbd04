"""Native attacks, a module per kind of target. `load` imports them all, which declares them."""

from __future__ import annotations

import importlib
from typing import Final

MODULES: Final = (
    "memory",
    "sockets",
    "files",
    "processes",
    "others",
    "privileges",
    "kernel",
    "clocks",
)


def load() -> None:
    """Declare every native attack."""
    for name in MODULES:
        importlib.import_module(f".{name}", __name__)
