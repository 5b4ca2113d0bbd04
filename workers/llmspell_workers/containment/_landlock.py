"""Landlock: everything that the running kernel can forbid is forbidden, nothing is granted.

Each worker has a domain of its own: it can signal and trace nothing outside it, not even its
sibling workers. It is applied before the engine starts, because landlock_restrict_self(2) covers
the calling thread and the threads that it starts later, and no others.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

from ._libc import syscall

if TYPE_CHECKING:
    from ._layers import Layers

_SYS_CREATE: Final = 444
_SYS_RESTRICT: Final = 446
_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION

_FS_BITS: Final = (13, 14, 15, 15, 16)
"""File rights known to ABI 1, 2 (refer), 3 (truncate), 4, and 5 on (device ioctl)."""
_NET_SINCE: Final = 4
_NET: Final = 0b11  # bind and connect of TCP
_SCOPE_SINCE: Final = 6
_SCOPES: Final = 0b11  # abstract unix sockets, signals
_SIZES: Final = {1: 8, _NET_SINCE: 16, _SCOPE_SINCE: 24}
"""Bytes of struct landlock_ruleset_attr from that ABI on; an older kernel refuses more."""
_REMEDY: Final = "use a kernel from 5.13 on, with landlock in its lsm= list"


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def apply(layers: Layers) -> None:
    """Enter a domain that grants nothing, and see one refusal."""
    layers.attempt("landlock", _restrict, _REMEDY)


def _restrict() -> str:
    abi = syscall(_SYS_CREATE, None, 0, _VERSION, what="landlock")
    attributes = _Attributes(
        (1 << _FS_BITS[min(abi, len(_FS_BITS)) - 1]) - 1,
        _NET if abi >= _NET_SINCE else 0,
        _SCOPES if abi >= _SCOPE_SINCE else 0,
    )
    size = max(size for since, size in _SIZES.items() if since <= abi)
    ruleset = syscall(_SYS_CREATE, attributes, size, 0, what="landlock ruleset")
    syscall(_SYS_RESTRICT, ruleset, 0, what="landlock")
    os.close(ruleset)
    _prove()
    return f"ABI {abi}, nothing granted" + ("" if abi >= _SCOPE_SINCE else ", no signal scope")


def _prove() -> None:
    # The root directory is readable by its mode, so only Landlock can answer EACCES.
    try:
        fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno == errno.EACCES:
            return
        raise
    os.close(fd)
    raise OSError(0, "the root directory can be opened")
