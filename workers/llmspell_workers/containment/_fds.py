"""Descriptors: exactly the two pipe ends remain, each good for one direction only."""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import resource
import stat
import struct
from typing import TYPE_CHECKING, Final

from ._layers import LayerMissing
from ._libc import syscall
from ._plan import IN_FD, OUT_FD

if TYPE_CHECKING:
    from ._layers import Layers
    from ._plan import Plan

_SYS_POLL: Final = 7
_SYS_CLOSE_RANGE: Final = 436
_LAST: Final = (1 << 32) - 1
_FREE: Final = OUT_FD + 1
"""Where the pipe ends wait while their places are made free."""
_POLLNVAL: Final = 0x20
_LOOK_UP_TO: Final = 256
"""How far to look for open descriptors; close_range(2) has taken all that are higher."""
_QUESTION: Final = struct.Struct("ihh")
"""struct pollfd: the descriptor, the events that are asked for, and those that there are."""
_REVENTS: Final = 6
"""Where the lower byte of those is, which holds POLLNVAL."""
_IS_OPEN: Final = bytes(not byte & _POLLNVAL for byte in range(256))
_QUESTIONS: Final = b"".join(_QUESTION.pack(fd, 0, 0) for fd in range(_LOOK_UP_TO))
_Answers = ctypes.c_char * len(_QUESTIONS)  # here, as it takes longer to make than to use


def apply(plan: Plan, layers: Layers) -> None:
    """Move the pipe ends to their fixed numbers and close everything else."""
    try:
        _place(plan)  # left out by no test: the worker could not speak
    except OSError as error:
        raise LayerMissing("fds", error.strerror or str(error)) from None
    layers.require("fds", _close_all_but_two)


def _place(plan: Plan) -> None:
    # Two steps, because one end may sit where the other one belongs.
    reader = fcntl.fcntl(plan.reader, fcntl.F_DUPFD_CLOEXEC, _FREE)
    writer = fcntl.fcntl(plan.writer, fcntl.F_DUPFD_CLOEXEC, _FREE)
    os.dup2(reader, IN_FD, inheritable=False)
    os.dup2(writer, OUT_FD, inheritable=False)


def _close_all_but_two() -> str:
    syscall(_SYS_CLOSE_RANGE, 0, IN_FD - 1, 0, what="close_range")
    syscall(_SYS_CLOSE_RANGE, OUT_FD + 1, _LAST, 0, what="close_range")
    _expect({IN_FD, OUT_FD})
    for fd, mode in ((IN_FD, os.O_RDONLY), (OUT_FD, os.O_WRONLY)):
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode) or flags & os.O_ACCMODE != mode:
            raise OSError(0, f"descriptor {fd} is not the pipe end it should be")
    return "two one-way pipe ends"


def prove(layers: Layers) -> None:
    """After the engine's start: nothing is open but the pipe ends."""
    if layers.has("fds"):
        layers.require("fds_proved", lambda: _expect({IN_FD, OUT_FD}))


def _expect(wanted: set[int]) -> str:
    found = _open_descriptors()
    if found != wanted:
        raise OSError(0, f"open descriptors are {sorted(found)}, not {sorted(wanted)}")
    return f"{len(found)} open"


def _open_descriptors() -> set[int]:
    """Ask poll(2) about every number at once; it takes no more of them than RLIMIT_NOFILE."""
    count = min(_LOOK_UP_TO, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    answers = _Answers.from_buffer_copy(_QUESTIONS)
    syscall(_SYS_POLL, answers, count, 0, what="poll")
    revents = answers.raw[_REVENTS : _QUESTION.size * count : _QUESTION.size]
    return set(itertools.compress(range(count), revents.translate(_IS_OPEN)))
