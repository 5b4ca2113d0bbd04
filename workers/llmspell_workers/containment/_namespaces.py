"""Namespaces: the zygote's own view of the machine, with nothing in it.

Two user namespaces, one in the other. The outer one owns the pid, net, ipc, uts, mount and cgroup
namespaces and is left behind; the zygote and its workers live in the inner one, which owns
nothing. A worker that regained every capability would hold them over nothing.
"""

from __future__ import annotations

import _socket
import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from ._libc import mount, read_text, unshare, write_text

if TYPE_CHECKING:
    from ._layers import Layers

_CLONE_NEWUSER: Final = 0x1000_0000
_KINDS: Final = {
    "mount": 0x0002_0000,
    "cgroup": 0x0200_0000,
    "uts": 0x0400_0000,
    "ipc": 0x0800_0000,
    "pid": 0x2000_0000,  # for the processes that are forked from now on
    "net": 0x4000_0000,
}
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x4_0000

_ROOT_INSIDE: Final = 0
"""The outer map: the owner of per-namespace settings must be id 0 there."""
_NOBODY_INSIDE: Final = 65534
"""The inner map: an id that owns nothing."""

_COUNTED: Final = (
    "user_namespaces",
    "pid_namespaces",
    "net_namespaces",
    "ipc_namespaces",
    "uts_namespaces",
    "mnt_namespaces",
    "cgroup_namespaces",
    "time_namespaces",
    "inotify_instances",
    "inotify_watches",
    "fanotify_groups",
    "fanotify_marks",
)
"""Files of /proc/sys/user, each with `max_` before it."""
_IPC_SETTINGS: Final = {
    "kernel/shmmni": "0",  # System V shared memory segments
    "kernel/shmall": "0",
    "kernel/msgmni": "0",  # System V message queues
    "kernel/sem": "1 0 1 0",  # System V semaphores: none
    "fs/mqueue/queues_max": "0",  # POSIX message queues
}
_UNPRIVILEGED: Final = {
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "set kernel.unprivileged_userns_clone=1"),
    "/proc/sys/user/max_user_namespaces": ("0", "set user.max_user_namespaces above 0"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "set kernel.apparmor_restrict_unprivileged_userns=0, or allow userns in a profile",
    ),
}
_REMEDY: Final = "allow unprivileged user namespaces (in a container: its seccomp profile, too)"


def enter(layers: Layers) -> None:
    """Leave the host's namespaces. Processes forked afterwards are in a new pid namespace."""
    if not layers.attempt("user_namespace", _enter_outer, _remedy()):
        for kind in _KINDS:
            layers.without(f"{kind}_namespace", "user_namespace")
        return
    for kind, flag in _KINDS.items():
        layers.attempt(f"{kind}_namespace", partial(_enter, kind, flag), _remedy())
    if layers.has("ipc_namespace"):
        layers.attempt("ipc_limits", _empty_ipc, "make /proc/sys writable")


def _remedy() -> str:
    """The most likely of the switches that forbid user namespaces, by name."""
    for path, (bad, remedy) in _UNPRIVILEGED.items():
        try:
            if read_text(path).strip() == bad:
                return remedy
        except OSError:
            continue
    return _REMEDY


def _enter_outer() -> str:
    uid, gid = os.geteuid(), os.getegid()
    unshare(_CLONE_NEWUSER, "user namespace")
    _map("/proc/self", (_ROOT_INSIDE, uid), (_ROOT_INSIDE, gid))
    return "own"


def _enter(kind: str, flag: int) -> str:
    unshare(flag, f"{kind} namespace")
    if kind == "mount":
        mount(b"/", _MS_REC | _MS_PRIVATE)  # or the host would see what is mounted here
    return "own and empty" if kind in {"net", "ipc"} else "own"


def _map(proc: str, uid: tuple[int, int], gid: tuple[int, int]) -> None:
    # setgroups must be refused before an unprivileged process may map its group.
    write_text(f"{proc}/setgroups", "deny")
    write_text(f"{proc}/uid_map", f"{uid[0]} {uid[1]} 1")
    write_text(f"{proc}/gid_map", f"{gid[0]} {gid[1]} 1")


def _empty_ipc() -> str:
    for name, value in _IPC_SETTINGS.items():
        write_text(f"/proc/sys/{name}", value)
    return "no System V object and no message queue can exist"


def enter_inner(layers: Layers, proc: int) -> None:
    """Step into the namespace that owns nothing, in which no further one can be made.

    `proc` is a descriptor of /proc, opened before the root was left.
    """
    if not layers.has("user_namespace"):
        return
    layers.attempt("inner_user_namespace", lambda: _enter_inner(proc))
    layers.attempt("no_new_namespaces", lambda: _no_more(proc), "make /proc/sys writable")


def _enter_inner(proc: int) -> str:
    unshare(_CLONE_NEWUSER, "inner user namespace")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_NOBODY_INSIDE} {_ROOT_INSIDE} 1"),
        ("gid_map", f"{_NOBODY_INSIDE} {_ROOT_INSIDE} 1"),
    ):
        write_text(f"self/{name}", text, directory=proc)
    return "own, and owner of nothing"


def _no_more(proc: int) -> str:
    for name in _COUNTED:
        try:
            write_text(f"sys/user/max_{name}", "0", directory=proc)
        except FileNotFoundError:  # a kernel that does not count these
            continue
    try:
        unshare(_CLONE_NEWUSER, "proof")
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EUSERS}:
            return "no namespace and no file watch can be made"
        raise
    raise OSError(0, "a further user namespace could be made")


def prove_no_network(layers: Layers) -> None:
    """Raise unless not even the loopback address can be reached. Needs descriptors to spare."""
    if not layers.has("net_namespace"):
        return
    try:
        reached = _reach_loopback()
    except OSError as error:
        layers.off("net_namespace", f"it could not be tried out: {error.strerror}", _REMEDY)
        return
    if reached:
        layers.off("net_namespace", "the loopback interface is up", _REMEDY)


def _reach_loopback() -> bool:
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        probe.connect(("127.0.0.1", 9))
    except OSError as error:
        if error.errno == errno.ENETUNREACH:
            return False
        raise
    finally:
        probe.close()
    return True
