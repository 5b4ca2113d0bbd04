"""Files: reading, making, filling, locking them, and only asking whether they are there."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmspell_workers.containment import IN_FD, OUT_FD

from .._attack import native
from ._raw import AT_FDCWD, beyond, call, named, read, refusal, space, text, trying, words
from ._walls import (
    CHANGE,
    DESCRIPTOR,
    FILTERS,
    HOST_RIGHTS,
    LIMITS,
    OPEN,
    PATH,
    against_root,
    lacking,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._attack import Targets

_CORE: Final = 4
_NOWHERE: Final = 8
_TERABYTE: Final = 1 << 40
_MEGABYTE: Final = 1 << 20
_DEVICE: Final = 0o020666
_FIFO: Final = 0o010666
_NULL: Final = 0x103
_HANDLE: Final = struct.pack("=Ii8x", 8, 1)
_CAPTURED: Final = struct.pack("=hhiqqi4x", 1, 0, 0, 0, 0, 0)
"""A struct flock: the whole file, for writing."""
_OFD_SETLK: Final = 37
_EXCLUSIVE_AT_ONCE: Final = 6
_REPORT_FID: Final = 0x200
_PATH_ONLY: Final = 0o10000000
_MOUNTS_OF_ROOT: Final = (1 << 64) - 1
_READ_SEARCH, _MKNOD = 2, 27
_HOW: Final = words(_PATH_ONLY, 0, 0)

FILLED: Final = (*OPEN, *LIMITS)
"""What writes into an open file."""


def _fresh(targets: Targets, kind: str) -> bytes:
    """A name in the canaries' folder that nothing has yet."""
    return f"{targets['folder']}/{kind}-{time.monotonic_ns()}".encode()


# --- reading ------------------------------------------------------------------------------------


@native("O08", "read the program that this process runs", walls=OPEN)
def own_program(targets: Targets) -> str:
    del targets
    return f"the first bytes are {read('/proc/self/exe', 4)!r}"


@native("O08", "reach the host's files by the link to the root", walls=OPEN)
def own_root(targets: Targets) -> str:
    return read(f"/proc/self/root{targets['file']}").decode()


@native(
    "O08",
    "open the protocol's pipe anew, for both directions",
    walls=(*PATH, "rlimits_closed", *against_root("uid")),
)
def own_pipe(targets: Targets) -> str:
    del targets
    end = call("open", text(f"/proc/self/fd/{OUT_FD}"), os.O_RDWR)
    return f"descriptor {end} reads what this worker writes"


@native("O31", "read a file", walls=OPEN)
def read_file(targets: Targets) -> str:
    return read(targets["file"]).decode()


@native("O31", "list a folder", walls=OPEN)
def list_folder(targets: Targets) -> str:
    end = call("open", text(targets["folder"]), os.O_RDONLY | os.O_DIRECTORY)
    return f"{call('getdents64', end, space(4096), 4096)} bytes of names"


@native("O39", "read which control groups this process is in", walls=OPEN)
def own_groups(targets: Targets) -> str:
    del targets
    return f"{len(read('/proc/self/cgroup'))} bytes"


@native(
    "O39",
    "open the control group of the root, to move there",
    walls=(*FILTERS, "landlock", "rlimits_closed", *against_root("uid")),
    needs_root=True,
    uncontrolled="a worker that moved itself would outlive its group",
)
def other_group(targets: Targets) -> str:
    del targets
    return f"descriptor {call('open', text('/sys/fs/cgroup/cgroup.procs'), os.O_WRONLY)}"


@native(
    "O41",
    "make the kernel spare this process when memory is short",
    walls=(*OPEN, "dumpable"),
)
def oom_score(targets: Targets) -> str:
    del targets
    end = call("open", text("/proc/self/oom_score_adj"), os.O_WRONLY)
    return f"wrote {call('write', end, b'0', 1)} byte"


# --- only looking -------------------------------------------------------------------------------

_LOOKS: Final[dict[str, Callable[[bytes], str]]] = {
    "stat": lambda path: beyond((), "stat", path, space(256)),
    "lstat": lambda path: beyond((), "lstat", path, space(256)),
    "newfstatat": lambda path: beyond((), "newfstatat", AT_FDCWD, path, space(256), 0),
    "statx": lambda path: beyond((), "statx", AT_FDCWD, path, 0, 0x7FF, space(256)),
    "access": lambda path: beyond((), "access", path, 0),
    "faccessat": lambda path: beyond((), "faccessat", AT_FDCWD, path, 0),
    "faccessat2": lambda path: beyond((), "faccessat2", AT_FDCWD, path, 0, 0),
    # A name that is no link is refused in another way than one that is not there.
    "readlink": lambda path: beyond((errno.EINVAL,), "readlink", path, space(64), 64),
    "readlinkat": lambda path: beyond(
        (errno.EINVAL,), "readlinkat", AT_FDCWD, path, space(64), 64
    ),
    "chdir": lambda path: beyond((errno.ENOTDIR,), "chdir", path),
    "statfs": lambda path: beyond((), "statfs", path, space(256)),
    "getxattr": lambda path: beyond(
        (errno.ENODATA, errno.EOPNOTSUPP), "getxattr", path, b"user.none", space(8), 8
    ),
    "listxattr": lambda path: beyond((errno.EOPNOTSUPP,), "listxattr", path, space(64), 64),
    "name_to_handle_at": lambda path: beyond(
        (errno.EOVERFLOW, errno.EOPNOTSUPP), "name_to_handle_at", AT_FDCWD, path, space(8),
        space(8), 0,
    ),
    "utimensat": lambda path: beyond((), "utimensat", AT_FDCWD, path, 0, 0),
    "uselib": lambda path: beyond((errno.ENOEXEC, errno.EACCES, errno.EINVAL), "uselib", path),
}  # fmt: skip
_PINNED: Final[dict[str, Callable[[bytes], str]]] = {
    "open": lambda path: beyond((), "open", path, _PATH_ONLY),
    "openat": lambda path: beyond((), "openat", AT_FDCWD, path, _PATH_ONLY),
    "openat2": lambda path: beyond((), "openat2", AT_FDCWD, path, _HOW, 24),
}


def _look(how: Callable[[bytes], str]) -> Callable[[Targets], str]:
    def run(targets: Targets) -> str:
        return how(targets["file"].encode())

    return run


for _name, _how in _LOOKS.items():
    native(
        "O31",
        f"ask by {_name}(2) whether a file is there",
        walls=PATH,
        uncontrolled="most kernels have it no more" if _name == "uselib" else "",
    )(named(_name, _look(_how)))
for _name, _how in _PINNED.items():
    native(
        "O31",
        f"pin a file by {_name}(2) with O_PATH, which asks for no right",
        walls=(*PATH, "rlimits_closed"),
    )(named(f"{_name} O_PATH", _look(_how)))


@native("O31", "list what is mounted", walls=PATH)
def list_mounts(targets: Targets) -> str:
    del targets
    request = struct.pack("=IIQQ", 24, 0, _MOUNTS_OF_ROOT, 0)
    count = call("listmount", request, space(8 * 256), 256, 0)
    if count <= 1:  # the empty root alone
        raise refusal(errno.ENOENT)
    return f"{count} mounts"


# --- making -------------------------------------------------------------------------------------

_MAKES: Final[dict[str, tuple[str, Callable[[bytes, Targets], int]]]] = {
    "mkdir": ("make a folder", lambda path, _: call("mkdir", path, 0o700)),
    "symlink": ("make a symbolic link", lambda path, _: call("symlink", b"/", path)),
    "link": ("make a hard link", lambda path, t: call("link", t["file"].encode(), path)),
}


def _make(kind: str, how: Callable[[bytes, Targets], int]) -> Callable[[Targets], str]:
    def run(targets: Targets) -> str:
        return f"{kind} answered {how(_fresh(targets, kind), targets)}"

    return run


for _name, (_title, _act) in _MAKES.items():
    native("O29", _title, walls=CHANGE)(named(_name, _make(_name, _act)))


@native("O29", "make a file", walls=OPEN)
def creat(targets: Targets) -> str:
    return f"descriptor {call('creat', _fresh(targets, 'file'), 0o600)}"


def _open_to_fill(targets: Targets) -> int:
    end = call("open", targets["file"].encode(), os.O_RDWR)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the limit answers, and does not kill
    return end


@native("O29", "append to a file", walls=FILLED)
def append(targets: Targets) -> str:
    end = _open_to_fill(targets)
    call("lseek", end, 0, os.SEEK_END)
    return f"wrote {call('write', end, b'!', 1)} byte"


@native("O29", "make a file of a terabyte, in name", walls=FILLED)
def sparse(targets: Targets) -> str:
    end = _open_to_fill(targets)
    size = call("lseek", end, 0, os.SEEK_END)
    call("ftruncate", end, _TERABYTE)
    call("ftruncate", end, size)  # the canary is still needed
    return "a terabyte, for a moment"


@native("O29", "reserve a megabyte for a file, which no limit of size stops", walls=OPEN)
def fallocate(targets: Targets) -> str:
    end = call("open", targets["file"].encode(), os.O_RDWR)
    return f"fallocate answered {call('fallocate', end, 0, 0, _MEGABYTE)}"


@native("O26", "make a named pipe", walls=CHANGE)
def fifo(targets: Targets) -> str:
    return f"mknod answered {call('mknod', _fresh(targets, 'fifo'), _FIFO, 0)}"


@native(
    "O26",
    "make a device",
    walls=(*HOST_RIGHTS, "landlock"),
    needs_root=True,
    uncontrolled=lacking(_MKNOD),
)
def device(targets: Targets) -> str:
    return f"mknod answered {call('mknod', _fresh(targets, 'device'), _DEVICE, _NULL)}"


native(
    "O26",
    "open a file by its handle, past every folder above it",
    walls=HOST_RIGHTS,
    needs_root=True,
    uncontrolled=lacking(_READ_SEARCH),
)(
    named(
        "handle",
        trying(
            "open_by_handle_at", AT_FDCWD, text(_HANDLE), 0, errors=(errno.ESTALE, errno.EOPNOTSUPP)
        ),
    )
)


# --- locks and watches --------------------------------------------------------------------------

native("O30", "lock a pipe", walls=FILTERS)(
    named("flock", trying("flock", IN_FD, _EXCLUSIVE_AT_ONCE))
)
native("O30", "lock a part of a pipe", walls=FILTERS)(
    named("record lock", trying("fcntl", OUT_FD, _OFD_SETLK, text(_CAPTURED)))
)
native("O30", "watch files by inotify", walls=(*DESCRIPTOR, "no_new_namespaces"))(
    named("inotify", trying("inotify_init1", 0))
)
native("O30", "watch files by fanotify", walls=(*DESCRIPTOR, "no_new_namespaces"))(
    named("fanotify", trying("fanotify_init", _REPORT_FID, 0))
)


@native("O30", "lock a file that others see", walls=OPEN)
def file_lock(targets: Targets) -> str:
    end = call("open", targets["file"].encode(), os.O_RDONLY)
    return f"flock answered {call('flock', end, _EXCLUSIVE_AT_ONCE)}"


# --- the image that a crash leaves --------------------------------------------------------------


def _no_plain_image() -> str:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    return f"crashes here go to {pattern!r}" if pattern[:1] in ("|", "/", "@", "") else ""


@native(
    "O28",
    "leave a memory image where others find it",
    walls=(*CHANGE, "dumpable", "rlimits_closed", *LIMITS),
    uncontrolled=_no_plain_image(),
    holds=("engine_crash",),
)
def memory_image(targets: Targets) -> str:
    call("chdir", text(targets["folder"]))
    limit = words(0, 0)
    call("prlimit64", 0, _CORE, 0, limit)
    call("prlimit64", 0, _CORE, words(limit[1], limit[1]), 0)  # as much as may be
    return f"read {ctypes.string_at(_NOWHERE, 1)!r} from where nothing is"
