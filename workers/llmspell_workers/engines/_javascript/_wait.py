"""Waiting for the pipe or for a time, whichever is first, with one old system call.

Not poll(2): it refuses more descriptors than RLIMIT_NOFILE, which is 0 in a locked worker. Not
`select.select`: some C libraries make it select(2), others pselect6(2), and the filter would have
to know both. Not epoll(7): its descriptor would be one more to justify.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_SYS_SELECT: Final = 23  # x86-64
_SET_BYTES: Final = 128  # fd_set: FD_SETSIZE (1024) bits

_libc = ctypes.CDLL(None, use_errno=True)


class _TimeValue(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("microseconds", ctypes.c_long))


def readable(fd: int, seconds: float | None) -> bool:
    """Whether `fd` can be read, after at most that long; None waits for ever.

    Raises `OSError`.
    """
    watched = (ctypes.c_uint8 * _SET_BYTES)()
    watched[fd // 8] = 1 << fd % 8
    limit = None
    if seconds is not None:
        whole = int(seconds)
        limit = ctypes.byref(_TimeValue(whole, int((seconds - whole) * 1_000_000)))
    found = _libc.syscall(_SYS_SELECT, fd + 1, watched, None, None, limit)
    if found < 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return bool(found > 0)
