"""Descriptors: exactly the two pipe ends remain, each good for one direction only."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final

from ._libc import syscall
from ._plan import IN_FD, OUT_FD

if TYPE_CHECKING:
    from ._layers import Layers
    from ._plan import Plan

_SYS_CLOSE_RANGE: Final = 436
_LAST: Final = (1 << 32) - 1
_FREE: Final = OUT_FD + 1
"""Where the pipe ends wait while their places are made free."""
_LOOK_UP_TO: Final = 1024
"""Descriptors above this cannot exist: close_range(2) took them and NOFILE is far lower."""


def apply(plan: Plan, layers: Layers) -> None:
    """Move the pipe ends to their fixed numbers and close everything else."""
    layers.require("fds", lambda: _close_all_but_two(plan))


def _close_all_but_two(plan: Plan) -> str:
    # Two steps, because one end may sit where the other one belongs.
    reader = fcntl.fcntl(plan.reader, fcntl.F_DUPFD_CLOEXEC, _FREE)
    writer = fcntl.fcntl(plan.writer, fcntl.F_DUPFD_CLOEXEC, _FREE)
    os.dup2(reader, IN_FD, inheritable=False)
    os.dup2(writer, OUT_FD, inheritable=False)
    syscall(_SYS_CLOSE_RANGE, 0, IN_FD - 1, 0, what="close_range")
    syscall(_SYS_CLOSE_RANGE, OUT_FD + 1, _LAST, 0, what="close_range")
    prove(frozenset())
    return "two one-way pipe ends"


def prove(engine_fds: frozenset[int]) -> None:
    """Raise `OSError` unless exactly the two pipe ends, and what the engine named, are open."""
    found = {fd for fd in range(_LOOK_UP_TO) if _is_open(fd)}
    if found != {IN_FD, OUT_FD} | engine_fds:
        raise OSError(0, f"open descriptors are {sorted(found)}")
    for fd, mode in ((IN_FD, os.O_RDONLY), (OUT_FD, os.O_WRONLY)):
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode) or flags & os.O_ACCMODE != mode:
            raise OSError(0, f"descriptor {fd} is not the pipe end it should be")


def _is_open(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True
