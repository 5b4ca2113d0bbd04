"""Opening files beneath a granted folder, however hostile what is in it: openat2(2).

The kernel resolves the path and refuses one that would leave the folder or pass a link, whatever
changes meanwhile; nothing of it is decided by looking at names.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_OPENAT2: Final = 437  # on x86-64 and arm64
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08


class _How(ctypes.Structure):
    """`struct open_how` of linux/openat2.h."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(root: str, path: str, flags: int) -> int:
    """A descriptor of `path`, relative to the folder `root`. Raises `OSError`.

    EXDEV for a path that leaves the folder, ELOOP for one with a link in it. Never waits for the
    other end of a pipe, and makes no terminal ours.
    """
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _How(
            flags=flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY,
            resolve=_RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS,
        )
        libc = ctypes.CDLL(None, use_errno=True)
        found = libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(folder),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if found < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
        return int(found)
    finally:
        os.close(folder)
