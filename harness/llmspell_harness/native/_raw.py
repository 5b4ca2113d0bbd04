"""System calls by their numbers, as code that took over an engine would make them."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final, NoReturn

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
AT_FDCWD: Final = -100


def call(number: int, *arguments: Any) -> int:
    """One system call: its result. Integers are passed as longs. Raises `OSError`."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def text(value: str | bytes) -> ctypes.Array[ctypes.c_char]:
    """A C string."""
    return ctypes.create_string_buffer(value.encode() if isinstance(value, str) else value)


def space(size: int) -> ctypes.Array[ctypes.c_char]:
    """Bytes for the kernel to write into."""
    return ctypes.create_string_buffer(size)


def refused(number: int) -> NoReturn:
    """The attack met a refusal that is no system call's own error."""
    raise OSError(number, os.strerror(number))
