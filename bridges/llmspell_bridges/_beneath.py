"""Opening beneath a directory, resolved by the kernel in one step: see openat2(2).

Whatever a link, a rename or a mount does meanwhile, the kernel either stays beneath the directory
or fails. Python has no binding for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from functools import cache
from typing import Any, Final

_OPENAT2: Final = 437
"""The number on every architecture (asm-generic/unistd.h)."""
_RESOLVE: Final = 0x01 | 0x02 | 0x04 | 0x08
"""RESOLVE_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH (linux/openat2.h). No other file system,
because /proc below a granted `/` holds the environment of this process as a regular file."""
_HOW: Final = struct.Struct("QQQ")  # struct open_how: flags, mode, resolve
_TRIES: Final = 16
"""A rename elsewhere in the tree may make the kernel ask for another try (EAGAIN)."""

_KERNELS_OWN: Final = frozenset(
    {
        0x00009FA0,  # procfs
        0x62656572,  # sysfs
        0x0027E0EB,  # cgroup
        0x63677270,  # cgroup2
        0x64626720,  # debugfs
        0x74726163,  # tracefs
        0x73636673,  # securityfs
        0xCAFE4A11,  # bpf
        0x6165676C,  # pstore
        0x62656570,  # configfs
        0x00001CD1,  # devpts
    }
)
"""File systems that are no files: f_type of statfs(2), from linux/magic.h."""


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def open_beneath(folder: int, path: str, flags: int) -> int:
    """A descriptor of `path`, relative to the descriptor `folder`; always close-on-exec.

    Follows no link and leaves neither the directory nor its file system. Raises `OSError`: `ELOOP`
    for a link, `EXDEV` for another file system, `ENOSYS` on a kernel before 5.6.
    """
    how = _HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE)
    for _ in range(_TRIES):
        found: int = _libc().syscall(
            _OPENAT2, folder, os.fsencode(path), how, ctypes.c_size_t(_HOW.size)
        )
        if found >= 0:
            return found
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code))


def is_kernels_own(descriptor: int) -> bool:
    """Whether it lies on a file system such as /proc or /sys. Raises `OSError`."""
    found = ctypes.create_string_buffer(256)  # struct statfs, with room to spare
    if _libc().fstatfs(descriptor, found) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return ctypes.c_long.from_buffer(found).value in _KERNELS_OWN
