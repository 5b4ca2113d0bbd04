"""Collections that look at what a test has made only.

A process that has run half the suite holds half a million objects, which a full collection looks
through for a sixth of a second: tests that collect after each of a hundred steps would wait for that.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def only_new_objects() -> Iterator[None]:
    """Within the block the collector leaves alone what there was before."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
