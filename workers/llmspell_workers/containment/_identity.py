"""Who the process is: a private user, no capability, no way to gain any, closed to debuggers."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

from ._libc import prctl, read_text, syscall

if TYPE_CHECKING:
    from ._layers import Layers

_SYS_CAPGET: Final = 125
_SYS_CAPSET: Final = 126
_CAP_VERSION_3: Final = 0x20080522

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_READ: Final = 23
_PR_CAPBSET_DROP: Final = 24
_PR_GET_SECUREBITS: Final = 27
_PR_SET_SECUREBITS: Final = 28
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

# NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each set and locked; KEEP_CAPS locked at off.
_SECUREBITS: Final = 0b11_10_11_11
_CAPABILITIES: Final = 64
"""More than any kernel knows; the first that it refuses ends the list."""

_PRIVATE_FIRST: Final = 0x7000_0000
_PRIVATE_COUNT: Final = 0x0FFF_0000
"""User ids that no distribution, container manager or systemd hands out (systemd's UIDS-GIDS)."""
_MAP_TAIL: Final = 4096
"""In a container with few ids: how many from the end of its range to pick from."""
_NOBODY: Final = 65534


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("words", ctypes.c_uint32 * 6),)
    """Effective, permitted and inheritable, twice: capabilities 0 to 31 and 32 to 63."""


def leave_root(layers: Layers) -> None:
    """Take a user id of our own if we are root; an ordinary user has only the one."""
    layers.attempt(
        "uid",
        _leave_root,
        "run as an ordinary user, or in a container whose user map has a range of ids",
    )


def _leave_root() -> str:
    # Not geteuid(2), which cannot say that it failed: its -1 would be some ordinary user.
    present = os.getresuid()
    if 0 not in present:
        return f"ordinary user {present[1]}"
    uid = _unused_id()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if {*os.getresuid(), *os.getresgid()} != {uid} or os.getgroups():
        raise OSError(0, "root's ids are not given up")
    # The change made /proc/self root's; the maps of the user namespace are written there.
    prctl(_PR_SET_DUMPABLE, 1, what="dumpable")
    return f"private user {uid}"


def _unused_id() -> int:
    """An id that no one else has, so that zygotes are strangers to each other, too."""
    for line in read_text("/proc/self/uid_map").splitlines():
        first, _, count = map(int, line.split())
        end = first + count
        if first <= _PRIVATE_FIRST and end >= _PRIVATE_FIRST + _PRIVATE_COUNT:
            return _PRIVATE_FIRST + _pick(_PRIVATE_COUNT)
        if count > 2 * _MAP_TAIL:
            uid = end - 1 - _pick(_MAP_TAIL)
            return uid if uid < _NOBODY - 1 or uid > _NOBODY + 1 else uid - 3
    raise OSError(0, "the user namespace we run in maps no spare user id")


def _pick(count: int) -> int:
    return int.from_bytes(os.urandom(8), "big") % count


def drop(layers: Layers) -> None:
    """Give up every capability in every set, and every way back to one."""
    layers.attempt("capabilities", _drop_capabilities, "start as root or with user namespaces")
    layers.require("no_new_privs", _no_new_privs)


def _drop_capabilities() -> str:
    privileged = _holds_any()
    if privileged:
        prctl(_PR_SET_SECUREBITS, _SECUREBITS, what="securebits")
        _empty_bounding_set()
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, what="ambient capabilities")
    syscall(_SYS_CAPSET, _CapHeader(_CAP_VERSION_3, 0), _CapData(), what="capset")
    _prove_capabilities()
    # Without a user namespace an ordinary user holds none, and cannot empty the bounding set.
    return "none in any set, securebits locked" if privileged else "none held"


def _empty_bounding_set() -> None:
    for capability in _known():
        prctl(_PR_CAPBSET_DROP, capability, what=f"drop of capability {capability}")
    if left := [c for c in _known() if prctl(_PR_CAPBSET_READ, c, what="bounding set")]:
        raise OSError(0, f"the bounding set still holds capabilities {left}")
    if prctl(_PR_GET_SECUREBITS, what="securebits") != _SECUREBITS:
        raise OSError(0, "the securebits are not locked")


def _known() -> list[int]:
    found = []
    for capability in range(_CAPABILITIES):
        try:
            prctl(_PR_CAPBSET_READ, capability, what="bounding set")
        except OSError as error:
            if (
                error.errno != errno.EINVAL
            ):  # which is the end; else nothing at all would be dropped
                raise
            break
        found.append(capability)
    if not found:
        raise OSError(0, "the kernel knows no capability")
    return found


def _holds_any() -> bool:
    data = _CapData()
    syscall(_SYS_CAPGET, _CapHeader(_CAP_VERSION_3, 0), data, what="capget")
    return any(data.words)


def _prove_capabilities() -> None:
    if _holds_any():
        raise OSError(0, "capabilities are left after the drop")


def _no_new_privs() -> str:
    prctl(_PR_SET_NO_NEW_PRIVS, 1, what="no_new_privs")
    _prove_no_new_privs()
    return "set, read back"


def _prove_no_new_privs() -> None:
    if prctl(_PR_GET_NO_NEW_PRIVS, what="no_new_privs") != 1:
        raise OSError(0, "no_new_privs is not set")


def hide(layers: Layers) -> None:
    """Close memory and /proc entries to everyone of the same user, and leave no core."""
    layers.require("dumpable", _hide)


def _hide() -> str:
    prctl(_PR_SET_DUMPABLE, 0, what="dumpable")
    _prove_hidden()
    return "off, read back"


def _prove_hidden() -> None:
    if prctl(_PR_GET_DUMPABLE, what="dumpable") != 0:
        raise OSError(0, "the process is dumpable")


def prove(layers: Layers) -> None:
    """Read back what the worker inherited from the jail."""
    layers.require("identity_proved", lambda: _prove(layers))


def _prove(layers: Layers) -> str:
    checks = {
        "capabilities": _prove_capabilities,
        "no_new_privs": _prove_no_new_privs,
        "dumpable": _prove_hidden,
    }
    held = [name for name in checks if layers.has(name)]
    for name in held:
        checks[name]()
    return "read back: " + ", ".join(held)
