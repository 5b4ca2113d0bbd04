"""The bridge `vector`: collections of vectors and texts, searched by likeness and by words."""

from __future__ import annotations

from ._bridge import VectorBridge
from ._collections import Collections, check_collection
from ._config import StoreConfig, VectorConfig
from ._filter import Condition
from ._types import Collection, Item, Match, Search

__all__ = [
    "Collection",
    "Collections",
    "Condition",
    "Item",
    "Match",
    "Search",
    "StoreConfig",
    "VectorBridge",
    "VectorConfig",
    "check_collection",
]
