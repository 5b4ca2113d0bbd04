"""Turns: several processes share the suite, and a test that measures has the machine for itself.

Most tests run beside others. One that is marked `undisturbed` begins when those that run have
ended, and until it has ended none begins.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DOOR = Path(__file__).parent
ROOM = Path(__file__)
"""What is locked; any file that all processes of a suite see would do, and a lock changes none."""


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Wait for a turn, and have it."""
    with ExitStack() as room:
        # Whoever waits for the room waits in the door, so that nobody who comes later overtakes.
        with _locked(DOOR, fcntl.LOCK_EX):
            room.enter_context(_locked(ROOM, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        # Closing is not enough where a fork has the descriptor too (flock(2)).
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
