"""From what the kernel says to what a script reads."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .._errors import BridgeError

if TYPE_CHECKING:
    from llmspell_protocol import ErrorKind

_SAID: Final[dict[int, tuple[ErrorKind, str]]] = {
    errno.ENOENT: ("Validation", "there is no {0}"),
    errno.ENOTDIR: ("Validation", "{0}: what stands there, or above it, is no directory"),
    errno.EISDIR: ("Validation", "{0} is a directory"),
    errno.EEXIST: ("Validation", "{0} is there already"),
    errno.ENOTEMPTY: ("Validation", "{0} is not empty"),
    errno.ENAMETOOLONG: ("Validation", "{0} is too long for this file system"),
    errno.EINVAL: ("Validation", "{0} is no name that this file system takes"),
    errno.ELOOP: ("Policy", "{0} is a link or leads through one, and links are not followed"),
    errno.EXDEV: ("Policy", "{0} is on another file system, which needs a grant of its own"),
    errno.EACCES: ("Configuration", "{0}: this host does not let its supervisor do that"),
    errno.EPERM: ("Configuration", "{0}: this host does not let its supervisor do that"),
    errno.EROFS: ("Configuration", "{0} is on a file system that is read-only"),
    errno.ENOSYS: ("Configuration", "this kernel has no openat2 (Linux 5.6), and fs needs it"),
    errno.ENOSPC: ("Limit", "{0}: there is no room left on this file system"),
    errno.EDQUOT: ("Limit", "{0}: there is no room left for this user"),
    errno.EFBIG: ("Limit", "{0} would be larger than this file system allows"),
    errno.EMFILE: ("Limit", "{0}: this host has too many files open; try again later"),
    errno.ENFILE: ("Limit", "{0}: this host has too many files open; try again later"),
}
_OTHER: Final[tuple[ErrorKind, str]] = ("Provider", "{0}: the file system failed ({1})")
_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EIO})


@contextlib.contextmanager
def explained(shown: str) -> Iterator[None]:
    """Turn an `OSError` into a `BridgeError` about the path as the script wrote it."""
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        kind, text = _SAID.get(code, _OTHER)
        name = errno.errorcode.get(code, "unknown")
        message = "path: " + text.format(f"'{shown}'", name)
        again = code in _PASSING
        raise BridgeError(kind, message, retryable=again, field="path") from None
