"""Cuts a stream of bytes into frames, and checks each header before it stores a byte of the body.

What is held at any time is the frames that the last pieces completed, and at most as much of one
more frame as has arrived, which is never more than its header announced.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import Final

HEADER: Final = 4
"""Bytes of the header: the length of the body, big-endian and unsigned."""


PIECE: Final = 64 * 1024
"""Bytes from which a piece of a body is kept as it came until the body is whole: to add ten megabytes
to one buffer as they come would copy them several times. Smaller ones are put together at once, since
a byte of its own would take fifty."""

_USUAL: Final = 1024
"""Bytes that a frame is given room for at first: most have no more, and to grow takes time."""

_length: Final = struct.Struct(">I")


def frame(encode_into: Callable[[object, bytearray, int], None], message: object) -> bytearray:
    """The frame that carries `message`, encoded where it is to be."""
    whole = bytearray(_USUAL)
    encode_into(message, whole, HEADER)
    _length.pack_into(whole, 0, len(whole) - HEADER)
    return whole


class FrameReader:
    """Frames out of pieces of any size. After a bad header it stores nothing more.

    `cap` is the largest body in bytes. `breach` is the reason once a header was bad: frames that
    were complete before it are still handed out, so the outcome does not depend on the pieces.
    """

    __slots__ = ("_cap", "_frames", "_have", "_need", "_pieces", "_tail", "breach")

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._frames: deque[bytes] = deque()
        self._need = 0  # bytes of the announced body; 0 while the header is not complete
        self._have = 0  # bytes of the header while _need is 0, of the body after that
        self._pieces: list[memoryview] = []  # of these, the large ones
        self._tail = bytearray()  # what comes after them
        self.breach = ""

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the stream."""
        if len(data) >= PIECE and not isinstance(data, bytes):
            data = bytes(data)  # parts of it are kept
        pos, end = 0, len(data)
        if self._have or self._need:
            pos = self._resume(memoryview(data))
        while end - pos >= HEADER and not self.breach:
            start = pos + HEADER
            need = _length.unpack_from(data, pos)[0]
            if not self._allowed(need):
                return
            if end - start < need:
                self._need = need
                pos = start
                break
            pos = start + need
            self._frames.append(bytes(data[start:pos]))
        if pos < end and not self.breach:
            self._add(memoryview(data)[pos:])

    def _resume(self, data: memoryview) -> int:
        """Add to the unfinished header and body what `data` holds of them; how much that was."""
        used = 0
        if not self._need:
            used = self._fill(data, HEADER)
            if self._have < HEADER:
                return used
            need = _length.unpack(self._taken())[0]
            if not self._allowed(need):
                return len(data)
            self._need = need
        used += self._fill(data[used:], self._need)
        if self._have == self._need:
            self._frames.append(self._taken())
            self._need = 0
        return used

    def _fill(self, data: memoryview, want: int) -> int:
        take = min(want - self._have, len(data))
        self._add(data[:take])
        return take

    def _add(self, data: memoryview) -> None:
        self._have += len(data)
        if len(data) < PIECE:
            self._tail += data
            return
        if self._tail:
            self._pieces.append(memoryview(self._tail))
            self._tail = bytearray()
        self._pieces.append(data)

    def _taken(self) -> bytes:
        """What is there, which is then no more."""
        taken = b"".join((*self._pieces, self._tail))
        self._pieces.clear()
        self._tail = bytearray()
        self._have = 0
        return taken

    def _allowed(self, need: int) -> bool:
        if not 1 <= need <= self._cap:
            self.breach = f"a header that announces {need} bytes; 1 to {self._cap} are allowed"
        return not self.breach

    def next(self) -> bytes | None:
        """The next whole body, or None."""
        return self._frames.popleft() if self._frames else None

    @property
    def missing(self) -> int:
        """Bytes of the announced body that have not come; 0 between frames."""
        return self._need - self._have if self._need else 0

    @property
    def partial(self) -> str:
        """How much of an unfinished frame is there, in words; empty between frames."""
        if self._need:
            return f"{self._have} of {self._need} bytes of a body"
        return f"{self._have} of {HEADER} bytes of a header" if self._have else ""
