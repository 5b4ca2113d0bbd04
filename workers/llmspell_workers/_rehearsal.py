"""What one start of an engine makes, kept by the zygote for the starts of its later workers.

A worker starts its engine after the fork, so that nothing of it is shared. Where an engine can hand
over what each start would make alike, it is started once more, in a process that sees no script and
ends at once, and the zygote keeps what it wrote.
"""

from __future__ import annotations

import os
import resource
import select
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, cast

if TYPE_CHECKING:
    from .engines import ScriptEngine

PATIENCE: Final = 2
"""Seconds of processor time, and of waiting: a hundred times what it takes."""
_MOST: Final = 16 << 20
"""Bytes that are kept at most."""
_PIECE: Final = 1 << 16


class Rehearsing(Protocol):
    """What a `ScriptEngine` may have beside what it must."""

    def rehearse(self) -> bytes:
        """Start, in a process of its own that ends then. What `recall` is to take."""

    def recall(self, made: bytes) -> None:
        """In the zygote, before the fork: have workers start from it."""


def rehearse(engine: ScriptEngine) -> None:
    """Have the engine recall what a start of it in a child has made.

    If that comes to nothing, for whatever reason, workers start as the first one did.
    """
    # Not by isinstance, which imports for a protocol, and in a jail there is nothing to import.
    if not hasattr(engine, "rehearse"):
        return
    rehearsing = cast("Rehearsing", engine)
    try:
        reader, writer = os.pipe()
    except OSError:
        return
    try:
        pid = os.fork()
    except OSError:
        pid = -1
    if pid == 0:
        _perform(rehearsing, reader, writer)
    os.close(writer)
    made = _received(reader)
    os.close(reader)
    # One that is late is a stray, which its end or the supervisor makes one to be buried.
    if made is not None and pid > 0 and os.waitpid(pid, 0)[1] == 0 and made:
        rehearsing.recall(made)


def _perform(engine: Rehearsing, reader: int, writer: int) -> NoReturn:
    status = 1
    try:
        os.close(reader)  # or it would not hear that nobody reads on
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        view = memoryview(engine.rehearse())
        while view:
            view = view[os.write(writer, view) :]
        status = 0
    finally:
        os._exit(status)


def _received(reader: int) -> bytes | None:
    """What the child has written, at its end; None if that does not come."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    pieces: list[bytes] = []
    size = 0
    while size <= _MOST:
        if not poll.poll(PATIENCE * 1000):
            return None
        piece = os.read(reader, _PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    return None
