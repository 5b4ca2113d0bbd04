"""System calls as code that took over an engine would make them: by number, past any library."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any, Final, NoReturn

from llmspell_protocol.syscalls import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._attack import Targets

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
AT_FDCWD: Final = -100


def call(what: int | str, *arguments: Any) -> int:
    """One system call, by number or by name: its result. Integers are passed as longs.

    Raises `OSError`.
    """
    number = NUMBERS[what] if isinstance(what, str) else what
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        refused(ctypes.get_errno())
    return result


def beyond(errors: tuple[int, ...], what: str, *arguments: Any) -> str:
    """A call that would do harm, with arguments that cannot: how it fails shows who stopped it.

    `errors` are those that the kernel gives only after it has found the caller entitled.
    """
    try:
        return f"{what} answered {call(what, *arguments)}"
    except OSError as error:
        if error.errno not in errors:
            raise
        return f"{what} was permitted, and answered {errno.errorcode[error.errno or 0]}"


def unknown(what: int | str, *arguments: int) -> str:
    """Why not even an unprotected process can make the call: tried with what changes nothing."""
    try:
        call(what, *arguments)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return "this kernel does not have it"
    return ""


def trying(what: str, *arguments: Any, errors: tuple[int, ...] = ()) -> Callable[[Targets], str]:
    """An attack that is this one call; see `beyond`."""

    def run(targets: Targets) -> str:
        del targets  # the same wherever it is tried
        return beyond(errors, what, *arguments)

    return run


def named(name: str, run: Callable[[Targets], str]) -> Callable[[Targets], str]:
    """The same function under the name that its attack shall have."""
    run.__name__ = name
    return run


def text(value: str | bytes) -> ctypes.Array[ctypes.c_char]:
    """A C string."""
    return ctypes.create_string_buffer(value.encode() if isinstance(value, str) else value)


def space(size: int) -> ctypes.Array[ctypes.c_char]:
    """Bytes for the kernel to write into."""
    return ctypes.create_string_buffer(size)


def filled(buffer: ctypes.Array[ctypes.c_char], count: int) -> bytes:
    """What the call that returned `count` has written there."""
    return buffer.raw[:count]


def words(*values: int) -> ctypes.Array[ctypes.c_uint64]:
    """A structure of 64-bit fields."""
    return (ctypes.c_uint64 * len(values))(*values)


def address(buffer: ctypes.Array[Any]) -> int:
    """Where a buffer is, for a structure that points to it."""
    return ctypes.addressof(buffer)


def read(path: str, most: int = 4096) -> bytes:
    """The start of a file, as three calls of which the first is open(2)."""
    end = call("open", text(path), os.O_RDONLY)
    data = space(most)
    return filled(data, call("read", end, data, most))


def refusal(number: int) -> OSError:
    """What the kernel answered, to be raised."""
    return OSError(number, os.strerror(number))


def refused(number: int) -> NoReturn:
    """The attack met a refusal that is no system call's own error."""
    raise refusal(number)
