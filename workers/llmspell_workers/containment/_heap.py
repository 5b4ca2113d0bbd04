"""One heap for the whole process, that grows at its end: all that a locked worker may have.

A filter can then refuse every call that makes a mapping smaller, moves it, or changes its rights
(`private_memory`), and a worker never notices.
"""

from __future__ import annotations

import ctypes
from typing import Final

from ._layers import LayerMissing

# The options of mallopt(3).
_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_MAX: Final = -4
_ARENA_MAX: Final = -8

_STEP: Final = 256 << 10
"""Bytes by which the heap grows at least: a system call less for each that fits in here."""
_KEPT: Final = 8 << 20
"""Bytes free at its end that are kept for what comes next."""
_SETTINGS: Final = (
    (_MMAP_MAX, 0),  # no block has a mapping of its own
    (_ARENA_MAX, 1),  # no thread has a heap of its own
    (_TOP_PAD, _STEP),
    (_TRIM_THRESHOLD, _KEPT),
)


def prepare_heap() -> None:
    """Settle malloc(3) for this process and its forks. Call it first, before there are threads.

    Raises `LayerMissing` where the C library cannot: its workers would not live under the filter.
    """
    library = ctypes.CDLL(None)
    for option, value in _SETTINGS:
        if not hasattr(library, "mallopt") or not library.mallopt(option, value):
            raise LayerMissing("one_heap", "malloc cannot be settled", "use the GNU C library")
