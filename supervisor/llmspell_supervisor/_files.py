"""Reading a file that a stranger may have put there: bounded, and never blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Final

from ._errors import SupervisorError
from ._text import escape_line
from ._units import format_size

_KINDS: Final = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
BOM: Final = b"\xef\xbb\xbf"
"""Some editors begin UTF-8 files with it; it is no part of the text."""

Fail = Callable[[str, str], SupervisorError]
"""Makes the caller's own kind of error from a message and a hint."""


def read_regular(path: str, cap: int, fail: Fail) -> bytes:
    """The bytes of the regular file `path`, at most `cap`; anything else raises `fail(...)`.

    Nothing is opened that is not a regular file (opening a device can act on it), and a file that
    changes into a pipe in between does not block.
    """
    shown = escape_line(path) or "'' (an empty name)"
    try:
        _check(shown, os.stat(path), cap, fail)
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _explain(shown, error, fail) from None
    with open(handle, "rb") as file:
        _check(shown, os.fstat(handle), cap, fail)
        data = file.read(cap + 1)
    if len(data) > cap:  # it grew after the check
        raise _too_large(shown, len(data), cap, fail)
    return data


def decode_text(data: bytes, shown: str, fail: Fail) -> str:
    """UTF-8 text without its byte order mark. NUL bytes and invalid UTF-8 raise `fail(...)`."""
    data = data.removeprefix(BOM)
    if (at := data.find(b"\0")) >= 0:
        place = _place(data, at)
        raise fail(f"{shown}: NUL byte at {place}", "this is not a text file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        byte, place = data[error.start], _place(data, error.start)
        message = f"{shown}: invalid UTF-8 at {place}: byte 0x{byte:02x}"
        raise fail(message, "save the file as UTF-8") from None


def _place(data: bytes, at: int) -> str:
    line = data.count(b"\n", 0, at) + 1
    return f"line {line}, byte offset {at}"


def _check(shown: str, found: os.stat_result, cap: int, fail: Fail) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a special file")
        raise fail(f"{shown} is {kind}, not a file", "")
    if found.st_size > cap:
        raise _too_large(shown, found.st_size, cap, fail)


def _too_large(shown: str, size: int, cap: int, fail: Fail) -> SupervisorError:
    return fail(f"{shown} is {format_size(size)}; the cap is {format_size(cap)}", "")


def _explain(shown: str, error: OSError | ValueError, fail: Fail) -> SupervisorError:
    if isinstance(error, FileNotFoundError):
        return fail(f"{shown}: no such file", "")
    if isinstance(error, PermissionError):
        return fail(f"{shown} cannot be read: permission denied", f"chmod u+r {shown}")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return fail(f"{shown} cannot be read: {reason}", "")
