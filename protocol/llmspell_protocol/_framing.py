"""Cuts a stream of bytes into frames, and checks each header before it stores a byte of the body.

What is held at any time is the frames that the last pieces completed, and at most as much of one
more frame as has arrived, which is never more than its header announced.
"""

from __future__ import annotations

from collections import deque
from typing import Final

HEADER: Final = 4
"""Bytes of the header: the length of the body, big-endian and unsigned."""


def frame(body: bytes) -> bytes:
    """The frame that carries `body`."""
    return len(body).to_bytes(HEADER, "big") + body


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
        if self.breach:
            return
        if not self._need and not self._partial and len(data) > HEADER:
            need = int.from_bytes(data[:HEADER], "big")
            if len(data) == HEADER + need <= HEADER + self._cap:
                self._frames.append(bytes(data[HEADER:]))  # one piece, one frame: the usual case
                return
        with memoryview(data) as view:
            self._split(view)

    def _split(self, view: memoryview) -> None:
        pos, end = 0, len(view)
        while pos < end:
            want = (self._need or HEADER) - len(self._partial)
            take = min(want, end - pos)
            self._partial += view[pos : pos + take]
            pos += take
            if take < want:
                return
            if not self._need:
                self._need = int.from_bytes(self._partial, "big")
                if not 1 <= self._need <= self._cap:
                    self.breach = f"a header announced {self._need} bytes; 1 to {self._cap} allowed"
                    pos = end
            else:
                self._frames.append(bytes(self._partial))
                self._need = 0
            self._partial = bytearray()

    def next(self) -> bytes | None:
        """The next whole body, or None."""
        return self._frames.popleft() if self._frames else None

    @property
    def partial(self) -> str:
        """How much of an unfinished frame is there, in words; empty between frames."""
        if self._need:
            return f"{len(self._partial)} of {self._need} bytes of a body"
        return f"{len(self._partial)} of {HEADER} bytes of a header" if self._partial else ""
