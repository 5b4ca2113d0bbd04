"""Rights: limits, keys, namespaces, users, mounts, and what a process may do to itself."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Any, Final

from llmspell_workers.containment import OUT_FD

from .._attack import native
from ._raw import AT_FDCWD, call, space, text, unknown, words
from ._rows import Row, declare
from ._walls import DESCRIPTOR, FILTERS, HOST_RIGHTS, LIMITS, MOUNT, OWN_RIGHTS, PROCESS, lacking

if TYPE_CHECKING:
    from .._attack import Targets

_SETUID, _NICE, _RESOURCE = 7, 23, 24
"""Capabilities."""
_USER_FAULTS: Final = 1
_SET_PIPE_SIZE: Final = 1031
_NOFILE: Final = 7
_FEW: Final = 64
_MANY: Final = 1 << 16
_FIFO: Final = 1
_NEW_USER: Final = 0x1000_0000
_NEW_MOUNT: Final = 0x2_0000
_NEW_NET: Final = 0x4000_0000
_SIGCHLD: Final = 17
_PRIVATE: Final = 1 << 18
_REMOUNT_BIND: Final = 32 | 4096
_DETACH: Final = 2
_CLONE_TREE: Final = 1
_SESSION_KEYRING: Final = -3
_PROCESS_KEYRING: Final = -2
_KEYCTL_JOIN: Final = 1
_KEYCTL_DESCRIBE: Final = 6
_KEYCTL_TO_PARENT: Final = 18
_CAP_SYS_CHROOT: Final = 1 << 18
_CAP_VERSION_3: Final = 0x2008_0522
_LEGACY: Final = 0x044_0000
"""READ_IMPLIES_EXEC and ADDR_NO_RANDOMIZE."""
_ROOT: Final = text("/")
_NONE: Final = text("none")
_TMPFS: Final = text("tmpfs")
_ATTRIBUTES: Final = words(48 | _FIFO << 32, 0, 1 << 32)

# --- limits -------------------------------------------------------------------------------------

declare(
    "O20",
    Row(
        "prlimit64",
        "take back the descriptors that it had",
        ("prlimit64", 0, _NOFILE, words(_FEW, _FEW), 0),
        walls=PROCESS,
    ),
    Row(
        "setrlimit",
        "take them back by setrlimit",
        ("setrlimit", _NOFILE, words(_FEW, _FEW)),
        walls=DESCRIPTOR,
    ),
)
declare(
    "O20",
    Row(
        "hard limit",
        "raise a hard limit, as root may",
        ("prlimit64", 0, _NOFILE, words(_MANY, _MANY), 0),
    ),
    # One's own limits are what the zygote's filter must let a worker set.
    walls=tuple(wall for wall in HOST_RIGHTS if wall != "zygote_seccomp"),
    needs_root=True,
    uncontrolled=lacking(_RESOURCE),
)
declare(
    "O21",
    Row("own nice value", "go before every other process", ("setpriority", 0, 0, -20)),
    Row("own scheduler", "run whenever it likes", ("sched_setscheduler", 0, _FIFO, words(1))),
    Row("own attributes", "run so, by sched_setattr", ("sched_setattr", 0, _ATTRIBUTES, 0)),
    Row("own disks", "go before all others at the disks", ("ioprio_set", 1, 0, 1 << 13)),
    walls=HOST_RIGHTS,
    needs_root=True,
    uncontrolled=lacking(_NICE),
)

# --- keys ---------------------------------------------------------------------------------------

declare(
    "O22",
    Row(
        "add_key",
        "leave a key for others",
        ("add_key", text("user"), text("llmspell"), text("x"), 1, _PROCESS_KEYRING),
    ),
    Row(
        "request_key",
        "ask for a key of others",
        ("request_key", text("user"), text("llmspell"), 0, 0),
        (errno.ENOKEY,),
    ),
    Row("session keyring", "join a new session of keys", ("keyctl", _KEYCTL_JOIN, 0)),
    Row(
        "describe",
        "look at the session's keys",
        ("keyctl", _KEYCTL_DESCRIBE, _SESSION_KEYRING, 0, 0),
        (errno.ENOKEY,),
    ),
    walls=FILTERS,
)


@native("O22", "give its keys, and credentials without Landlock, to the zygote", walls=FILTERS)
def to_parent(targets: Targets) -> str:
    del targets
    call("keyctl", _KEYCTL_JOIN, 0)
    return f"answered {call('keyctl', _KEYCTL_TO_PARENT)}"


# --- namespaces, users, capabilities ------------------------------------------------------------

declare(
    "O24",
    Row("unshare user", "a user namespace of its own", ("unshare", _NEW_USER)),
    walls=(*FILTERS, "no_new_namespaces"),
    engines=("lua",),  # JavaScript has threads, and with threads the kernel refuses it anyway
)
declare(
    "O24",
    Row("unshare mount", "a mount namespace of its own", ("unshare", _NEW_MOUNT)),
    walls=(*FILTERS, "capabilities", "no_new_namespaces"),
)


@native(
    "O24",
    "a process in a user namespace of its own",
    walls=(*DESCRIPTOR, "no_new_namespaces"),
)
def clone_user(targets: Targets) -> str:
    del targets
    if (pid := call("clone", _NEW_USER | _SIGCHLD, 0, 0, 0, 0)) == 0:
        call("exit_group", 0)
    return f"process {pid}"


@native(
    "O24",
    "enter a namespace by its descriptor",
    walls=(*OWN_RIGHTS, "root", "rlimits_closed"),
)
def setns(targets: Targets) -> str:
    del targets
    end = call("open", text("/proc/self/ns/net"), os.O_RDONLY)
    return f"setns answered {call('setns', end, _NEW_NET)}"


@native("O24", "take a capability back", walls=(*FILTERS, "capabilities"))
def capset(targets: Targets) -> str:
    del targets
    header = struct.pack("=Ii", _CAP_VERSION_3, 0)
    data = struct.pack("=6I", _CAP_SYS_CHROOT, _CAP_SYS_CHROOT, 0, 0, 0, 0)
    return f"capset answered {call('capset', text(header), text(data))}"


declare(
    "O24",
    Row("chroot", "another root directory", ("chroot", _ROOT)),
    walls=(*FILTERS, "capabilities"),
)
declare(
    "O24",
    Row("setuid", "become another user", ("setuid", 1)),
    Row("setresuid", "become another user by setresuid", ("setresuid", 1, 1, 1)),
    Row("setgroups", "join a group", ("setgroups", 1, words(0))),
    walls=HOST_RIGHTS,
    needs_root=True,
    uncontrolled=lacking(_SETUID),
)

# --- mounts -------------------------------------------------------------------------------------

declare(
    "O25",
    Row("mount", "mount a file system", ("mount", _NONE, _ROOT, _TMPFS, 0, 0)),
    Row("remount", "make the root writable", ("mount", 0, _ROOT, 0, _REMOUNT_BIND, 0)),
    Row("umount2", "take the root away", ("umount2", _ROOT, _DETACH)),
    Row(
        "pivot_root",
        "put another root in its place",
        ("pivot_root", _ROOT, _ROOT),
        (errno.EINVAL, errno.EBUSY),
    ),
    Row(
        "move_mount",
        "move a mount",
        ("move_mount", AT_FDCWD, _ROOT, AT_FDCWD, _ROOT, 0),
        (errno.EINVAL, errno.ELOOP),
    ),
    Row(
        "mount_setattr",
        "change a mount",
        ("mount_setattr", AT_FDCWD, _ROOT, 0, words(0, 0, _PRIVATE, 0), 32),
        walls=OWN_RIGHTS,
    ),
    walls=MOUNT,
)
declare(
    "O25",
    Row("fsopen", "prepare a file system", ("fsopen", _TMPFS, 0)),
    Row("fspick", "take hold of a file system", ("fspick", AT_FDCWD, _ROOT, 0)),
    Row(
        "open_tree",
        "copy a tree of mounts",
        ("open_tree", AT_FDCWD, _ROOT, _CLONE_TREE),
        walls=(*OWN_RIGHTS, "rlimits_closed", "no_new_namespaces"),
    ),
    walls=(*OWN_RIGHTS, "rlimits_closed"),
)
declare(
    "O39",
    Row(
        "mount",
        "mount the tree of control groups",
        ("mount", _NONE, _ROOT, text("cgroup2"), 0, 0),
    ),
    walls=MOUNT,
)

# --- settings of this process -------------------------------------------------------------------


def _prctl(name: str, title: str, *options: Any, errors: tuple[int, ...] = ()) -> Row:
    return Row(name, title, ("prctl", *options, *[0] * (5 - len(options))), errors)


declare(
    "O32",
    _prctl("dumpable", "open itself to tracers", 4, 1),
    _prctl("death signal", "outlive the zygote", 1, 0),
    _prctl("subreaper", "adopt orphans", 36, 1),
    _prctl("counter", "change the time-stamp counter", 26, 1),
    _prctl("memory layout", "look at how its memory is described", 35, 15, space(8)),
    _prctl("own filter", "a filter of its own", 22, 2, errors=(errno.EFAULT,)),
    _prctl("timer slack", "finer timers", 29, 1),
    Row("personality", "memory at known places, all of it executable", ("personality", _LEGACY)),
    Row("arch_prctl", "its thread's base address", ("arch_prctl", 0x1003, space(8))),
    Row("modify_ldt", "a table of segments", ("modify_ldt", 0, space(64), 64)),
    walls=FILTERS,
)
declare(
    "O32",
    _prctl("brk start", "move what the kernel knows of its heap", 35, 6, errors=(errno.EINVAL,)),
    walls=HOST_RIGHTS,
    needs_root=True,
    uncontrolled=lacking(_RESOURCE),
)

# --- its own memory, timers and descriptors -----------------------------------------------------

declare(
    "O16",
    Row("userfaultfd", "answer page faults itself", ("userfaultfd", _USER_FAULTS)),
    Row(
        "memfd_secret",
        "memory that even the kernel does not map",
        ("memfd_secret", 0),
        uncontrolled=unknown("memfd_secret", -1),
    ),
    Row(
        "semget",
        "semaphores that others can reach",
        ("semget", 0, 1, 0o1600),
        walls=(*FILTERS, "ipc_limits"),
    ),
    walls=DESCRIPTOR,
)
declare(
    "O17",
    Row("pipe size", "a larger pipe", ("fcntl", OUT_FD, _SET_PIPE_SIZE, 1 << 20)),
    walls=FILTERS,
)
declare(
    "O19",
    Row("mlock", "memory that is never swapped", ("mlock", text("x"), 1)),
    walls=(*DESCRIPTOR, *LIMITS),
)
declare(
    "O34",
    Row("timer", "a timer that sends it signals", ("timer_create", 1, 0, space(8))),
    walls=(*DESCRIPTOR, *LIMITS),
)
declare("O09", Row("dup", "a second end of its pipe", ("dup", OUT_FD)), walls=PROCESS)
declare(
    "O32",
    Row(
        "executable memory",
        "memory to write a program into and run it",
        ("mmap", 0, 4096, 0b111, 0x22, -1, 0),
    ),
    walls=("seccomp", "write_xor_execute"),
)
