"""The package `mcp`, imported late and kept quiet. Its import takes a second or two."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Final

from .._clock import off_the_clock

_LOGGERS: Final = ("mcp", "client", "httpx2", "httpcore2")
"""They tell what servers send, which is hostile, and to a terminal if nobody stops them."""


async def load() -> None:
    """Wait until the package may be imported at once."""
    with off_the_clock():
        await asyncio.to_thread(_load)


@functools.cache
def _load() -> None:
    import mcp.client.client
    import mcp.client.streamable_http  # noqa: F401 - imported here, so that nobody waits for it

    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
