"""Cuts a stream of bytes into frames, and checks each header before it stores a byte of the body.

What is held at any time is the frames that the last pieces completed, and at most as much of one
more frame as has arrived, which is never more than its header announced.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

HEADER: Final = 4
"""Bytes of the header: the length of the body, big-endian and unsigned."""


_length: Final = struct.Struct(">I")


def frame(body: bytes) -> bytes:
    """The frame that carries `body`."""
    return _length.pack(len(body)) + body


class FrameReader:
    """Frames out of pieces of any size. After a bad header it stores nothing more.

    `cap` is the largest body in bytes. `breach` is the reason once a header was bad: frames that
    were complete before it are still handed out, so the outcome does not depend on the pieces.
    """

    __slots__ = ("_cap", "_frames", "_need", "_partial", "breach")

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._frames: deque[bytes] = deque()
        self._partial = bytearray()  # of the header while _need is 0, of the body after that
        self._need = 0  # bytes of the announced body; 0 while the header is not complete
        self.breach = ""

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the stream."""
        pos, end = 0, len(data)
        if self._partial or self._need:
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
            self._partial += data[pos:]

    def _resume(self, data: memoryview) -> int:
        """Add to the unfinished header and body what `data` holds of them; how much that was."""
        used = 0
        if not self._need:
            used = self._fill(data, HEADER)
            if len(self._partial) < HEADER:
                return used
            need = _length.unpack(self._partial)[0]
            self._partial = bytearray()
            if not self._allowed(need):
                return len(data)
            self._need = need
        used += self._fill(data[used:], self._need)
        if len(self._partial) == self._need:
            self._frames.append(bytes(self._partial))
            self._partial = bytearray()
            self._need = 0
        return used

    def _fill(self, data: memoryview, want: int) -> int:
        take = min(want - len(self._partial), len(data))
        self._partial += data[:take]
        return take

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
        return self._need - len(self._partial) if self._need else 0

    @property
    def partial(self) -> str:
        """How much of an unfinished frame is there, in words; empty between frames."""
        if self._need:
            return f"{len(self._partial)} of {self._need} bytes of a body"
        return f"{len(self._partial)} of {HEADER} bytes of a header" if self._partial else ""
