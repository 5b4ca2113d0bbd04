"""What a hostile peer holds: the two pipe ends of its worker, and the codec, without any rule."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from llmspell_workers.containment import IN_FD, OUT_FD

if TYPE_CHECKING:
    from llmspell_protocol import Start

_READ: Final = 65536


class Wire:
    """Bytes in and out, whole frames or not."""

    def __init__(self, start: Start | None) -> None:
        self.start = start
        """What the supervisor has sent; None before it has."""

    def send(self, data: bytes) -> None:
        """These bytes, whatever they are. Waits while the supervisor does not read."""
        view = memoryview(data)
        while view:
            view = view[os.write(OUT_FD, view) :]

    def frame(self, body: bytes) -> None:
        """A frame of these bytes, with the length that they have."""
        self.send(len(body).to_bytes(4, "big") + body)

    def message(self, message: object) -> None:
        """A frame of any message, legal at this moment or not."""
        self.frame(msgspec.msgpack.encode(message))

    def read(self, count: int = _READ) -> bytes:
        """At most so many bytes of what the supervisor sent; empty when it has gone."""
        return os.read(IN_FD, count)

    def answer(self) -> bytes:
        """The body of the next frame; empty when the supervisor has gone."""
        return self._exactly(int.from_bytes(self._exactly(4), "big"))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := self.read(count - len(data))):
            data += more
        return data

    def wait(self, seconds: float) -> None:
        """Do nothing."""
        time.sleep(seconds)

    def leave(self, status: int) -> NoReturn:
        """Exit with that status and no last word."""
        os._exit(status)

    def hang(self) -> None:
        """Say no more, and live until killed."""
        while os.read(IN_FD, _READ):
            pass
        # The supervisor has closed its end, and does not kill for that: the pipe's end does.
