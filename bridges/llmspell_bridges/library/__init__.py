"""The bridge `library`: other spells, from folders that the operator has granted."""

from ._bridge import LibraryBridge

__all__ = ["LibraryBridge"]
