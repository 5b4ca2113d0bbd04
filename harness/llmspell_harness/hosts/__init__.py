"""Attacks that show on the host's side, a module per subject. `load` imports them all, which declares them."""

from __future__ import annotations

import importlib
from typing import Final

MODULES: Final[tuple[str, ...]] = (
    "bridges",
    "files",
    "memory",
    "peers",
    "requests",
    "steps",
    "system",
    "web",
)


def load() -> None:
    """Declare every attack on the host."""
    for name in MODULES:
        importlib.import_module(f".{name}", __name__)
