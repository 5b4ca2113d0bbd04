"""What a server may send: bounded before it is parsed. Imports the library; see `_library.py`."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, jsonrpc_message_adapter

MAX_MESSAGE: Final = 16 << 20
"""Bytes: an answer of ten megabytes, the default of `max_response`, as base64 and an envelope."""

MAX_VALUES: Final = 1 << 20
"""Values in one message. Each takes a hundred bytes when it is parsed, and a few in the message."""

BURST: Final = 2048
"""What a server may send unasked at once: messages, and for each its KiB. A long task reports its
progress, a chatty one logs; two megabytes of it are no conversation."""

RATE: Final = 256
"""The same, for each second that goes by."""

_QUICK: Final = 64 * 1024
"""Bytes that are parsed in a millisecond; more are parsed in a thread."""


class Excess(Exception):
    """A server has sent more than it may. Its text says what, in the words for a script."""


class Pace:
    """Counts what a server sends without being asked."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = time.monotonic()

    def spend(self, size: int) -> None:
        """Account for one message of `size` bytes. Raises `Excess`."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * RATE) - 1 - size // 1024
        self._at = now
        if self._left < 0:
            raise Excess("floods: it sends more than it was asked for")


def values(data: bytes) -> int:
    """How many values JSON holds, and commas and braces in its texts."""
    return sum(map(data.count, (b",", b"[", b"{")))


async def parse(line: bytes) -> SessionMessage | None:
    """The message in a line; none if it is no message. Raises `Excess`."""
    if values(line) > MAX_VALUES:
        raise Excess(f"sent a message of more than {MAX_VALUES} values")
    found = _parse(line) if len(line) <= _QUICK else await asyncio.to_thread(_parse, line)
    return None if found is None else SessionMessage(found)


def _parse(line: bytes) -> JSONRPCMessage | None:
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:  # a banner, a log line: some programs write them there
        return None
