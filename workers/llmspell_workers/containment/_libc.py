"""The calls that Python has no name for, by ctypes. A failure is an `OSError` with its errno.

Everything is looked up at import: after the jail there is no file to load anything from.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_SYSCALL: Final = _LIBC.syscall
_SYSCALL.restype = ctypes.c_long
_PRCTL: Final = _LIBC.prctl
_PRCTL.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_UNSHARE: Final = _LIBC.unshare
_MOUNT: Final = _LIBC.mount
_MOUNT.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]
_UMOUNT2: Final = _LIBC.umount2
_SIGNAL: Final = _LIBC.signal
_SIGNAL.argtypes = [ctypes.c_int, ctypes.c_void_p]
_SIGNAL.restype = ctypes.c_void_p
_SIGACTION: Final = _LIBC.sigaction
_SIGACTION.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
_ACTION: Final = struct.Struct("P128si4xP")
"""struct sigaction as the C library has it: handler, mask, flags, and a restorer that is its own."""
_SA_SIGINFO: Final = 0x0000_0004
_SA_RESETHAND: Final = 0x8000_0000 - (1 << 32)  # an int, and its highest bit
_SIG_ERR: Final = ctypes.c_void_p(-1).value
_SMALL: Final = 4096
"""Bytes of the largest file of /proc that is read here; a user map has a line per range."""
_WORD: Final = (1 << 64) - 1

Argument = int | bytes | ctypes.Structure | ctypes.Array[ctypes.c_char] | None


def _fail(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")


def _word(value: Argument) -> object:
    """As an argument of the variadic syscall(2), where ctypes would cut an int to 32 bits."""
    if isinstance(value, int):
        return ctypes.c_ulong(value & _WORD)
    if value is None or isinstance(value, bytes):
        return ctypes.c_char_p(value)
    return ctypes.byref(value)


def syscall(number: int, *arguments: Argument, what: str = "") -> int:
    """Make one raw system call. `what` names it in the error."""
    result = int(_SYSCALL(ctypes.c_long(number), *map(_word, arguments)))
    if result < 0:
        raise _fail(what or f"system call {number}")
    return result


def prctl(option: int, *arguments: int, what: str) -> int:
    """prctl(2). The arguments that are not given are 0, as newer options demand."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    result = int(_PRCTL(option, *padded))
    if result < 0:
        raise _fail(what)
    return result


def unshare(flags: int, what: str) -> None:
    """unshare(2)."""
    if _UNSHARE(ctypes.c_int(flags)):
        raise _fail(what)


def mount(
    target: bytes, flags: int, *, kind: bytes | None = None, options: bytes | None = None
) -> None:
    """mount(2) without a source: propagation changes, remounts and memory file systems."""
    if _MOUNT(kind, target, kind, flags, options):
        raise _fail(f"mount on {target.decode()}")


def default_signal(number: int) -> None:
    """signal(2) with SIG_DFL: a tenth of the time of Python's own, which looks up enumerations."""
    if _SIGNAL(number, None) == _SIG_ERR:
        raise _fail(f"signal {number}")


def handle_signal(number: int, address: int) -> None:
    """sigaction(2): machine code at `address` takes the signal once, with no other one let in."""
    action = _ACTION.pack(address, b"\xff" * 128, _SA_SIGINFO | _SA_RESETHAND, 0)
    if _SIGACTION(number, action, None):
        raise _fail(f"handler of signal {number}")


def read_text(path: str) -> str:
    """Read a small file of /proc, and import nothing for it. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _SMALL).decode()
    finally:
        os.close(fd)


def write_text(path: str, text: str, *, directory: int | None = None) -> None:
    """Write a setting of /proc in one write(2). Raises `OSError`."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def detach_mount(target: bytes) -> None:
    """umount2(2) with MNT_DETACH."""
    mnt_detach = 2
    if _UMOUNT2(target, mnt_detach):
        raise _fail(f"unmount of {target.decode()}")
