"""Hostile peers, a module per kind of breach. `load` imports them all, which declares them."""

from __future__ import annotations

import importlib
from typing import Final

MODULES: Final = ("framing", "values", "order", "floods", "claims", "texts")


def load() -> None:
    """Declare every hostile peer."""
    for name in MODULES:
        importlib.import_module(f".{name}", __name__)
