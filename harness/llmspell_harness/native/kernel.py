"""The kernel itself: its doors for root, for other architectures, and for past flaws."""

from __future__ import annotations

import errno
import os
import signal
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmspell_workers.containment import IN_FD, OUT_FD

from .._attack import native
from . import _code
from ._raw import AT_FDCWD, address, beyond, call, named, refusal, space, text, unknown, words
from ._rows import Row, declare
from ._walls import DESCRIPTOR, FILTERS, HOST_RIGHTS, LIMITS, OPEN, OWN_RIGHTS, lacking

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._attack import Targets

_MODULE, _RAWIO, _PACCT, _ADMIN, _BOOT, _TIME, _SYSLOG = 16, 17, 20, 21, 22, 25, 34
"""Capabilities."""
_SOME: Final = 4096
_X32: Final = 0x4000_0000
_GETPID: Final = 39
_OPENAT: Final = 257
_NONBLOCK: Final = 2
"""SPLICE_F_NONBLOCK."""
_FULL: Final = (errno.EAGAIN,)
_ARRAY_MAP: Final = struct.pack("=IIII", 2, 4, 4, 1) + bytes(32)
_BPF_PROGRAM: Final = struct.pack("=IIQQ", 1, 0, 0, 0) + bytes(104)
"""A socket filter of no instructions."""
_PERF: Final = struct.pack("=IIQQQQQ", 1, 128, 0, 0, 0, 0, 0b110_0000) + bytes(80)
"""A software clock, of this process, without the kernel's part."""
_USERS_OWN: Final = 2
"""The highest kernel.perf_event_paranoid at which a user may count his own processes."""
_ANY_QUOTA_SYNC: Final = 0x80_0001 << 8
_SET_FILTER: Final = 1
_NEW_LISTENER: Final = 8
_NOTIFIER_SIZES: Final = 3
_ALLOW_ALL: Final = struct.pack("=HBBI", 6, 0, 0, 0x7FFF_0000)
_TTY_INPUT: Final = 0x5412
_TTY_GROUP: Final = 0x5410
_CONSOLE: Final = 0x541C
_TTY_OWN: Final = 0x540E
_PTY_UNLOCK: Final = 0x4004_5431
_PTY_PEER: Final = 0x5441
_NOWHERE: Final = text("/nonexistent")


def _setting(name: str) -> int:
    """A number of /proc/sys; 0 where this kernel does not have it."""
    try:
        return int(Path(f"/proc/sys/{name}").read_text())
    except (OSError, ValueError):
        return 0


# --- past the filters ---------------------------------------------------------------------------

_NO_RING: Final = "io_uring is off on this host" if _setting("kernel/io_uring_disabled") else ""
_NOT_A_RING: Final = (errno.EOPNOTSUPP, errno.EBADF)
declare(
    "O11",
    Row(
        "io_uring_setup",
        "a ring that makes calls past the filters",
        ("io_uring_setup", 1, space(120)),
        walls=(*DESCRIPTOR, *LIMITS),
        uncontrolled=_NO_RING,
    ),
    Row(
        "io_uring_enter",
        "submit to a ring",
        ("io_uring_enter", IN_FD, *[0] * 5),
        _NOT_A_RING,
        uncontrolled=_NO_RING,
    ),
    Row(
        "io_uring_register",
        "register with a ring",
        ("io_uring_register", IN_FD, 0, 0, 0),
        _NOT_A_RING,
        uncontrolled=_NO_RING,
    ),
    walls=FILTERS,
)
_NO_I386: Final = (
    "" if Path("/proc/sys/abi/vsyscall32").exists() else "this kernel runs no code of i386"
)


@native("O33", "a call by the door of i386", walls=FILTERS, uncontrolled=_NO_I386)
def int_80(targets: Targets) -> str:
    del targets
    if (answer := _code.run("int80")) < 0:
        raise refusal(-answer)
    return f"getpid answered {answer}"


_NO_X32: Final = unknown(_X32 | _GETPID)


@native("O33", "a call by the numbers of x32", walls=FILTERS, uncontrolled=_NO_X32)
def x32(targets: Targets) -> str:
    del targets
    return f"getpid answered {call(_X32 | _GETPID)}"


@native("O33", "a file by the numbers of x32", walls=FILTERS, uncontrolled=_NO_X32)
def x32_file(targets: Targets) -> str:
    return f"descriptor {call(_X32 | _OPENAT, AT_FDCWD, text(targets['file']), 0)}"


@native("O37", "a filter whose reader makes calls wait", walls=DESCRIPTOR)
def notifier(targets: Targets) -> str:
    del targets
    code = text(_ALLOW_ALL)
    program = struct.pack("=H6xQ", 1, address(code))
    return f"descriptor {call('seccomp', _SET_FILTER, _NEW_LISTENER, program)}"


declare(
    "O37",
    Row("sizes", "what such a reader would read", ("seccomp", _NOTIFIER_SIZES, 0, space(6))),
    walls=FILTERS,
)

# --- root's doors -------------------------------------------------------------------------------

_NO_MODULES: Final = (
    lacking(_MODULE) if Path("/proc/modules").exists() else "this kernel loads no modules"
)
_NO_KEXEC: Final = (
    lacking(_BOOT) if Path("/sys/kernel/kexec_loaded").exists() else "this kernel has no kexec"
)
_NO_PORTS: Final = unknown("iopl", 0) or lacking(_RAWIO)
declare(
    "O23",
    Row(
        "bpf",
        "a map of the kernel's own machine",
        ("bpf", 0, text(_ARRAY_MAP), 48),
        walls=(*HOST_RIGHTS, "rlimits_closed"),
        uncontrolled=lacking(_ADMIN),
    ),
    Row(
        "init_module",
        "load a module",
        ("init_module", 0, 0, text("")),
        (errno.ENOEXEC, errno.EFAULT, errno.EINVAL),
        uncontrolled=_NO_MODULES,
    ),
    Row(
        "finit_module",
        "load a module from a file",
        ("finit_module", -1, text(""), 0),
        (errno.EBADF,),
        uncontrolled=_NO_MODULES,
    ),
    Row(
        "delete_module",
        "unload a module",
        ("delete_module", text("llmspell"), os.O_NONBLOCK),
        (errno.ENOENT,),
        uncontrolled=_NO_MODULES,
    ),
    Row(
        "kexec_load",
        "another kernel",
        ("kexec_load", 0, 0, 0, 0xFFFF),
        (errno.EINVAL, errno.EBUSY),
        uncontrolled=_NO_KEXEC,
    ),
    Row("iopl", "the machine's ports", ("iopl", 3), uncontrolled=_NO_PORTS),
    Row("ioperm", "one port of the machine", ("ioperm", 0x80, 1, 1), uncontrolled=_NO_PORTS),
    Row(
        "swapon",
        "swap to a file",
        ("swapon", _NOWHERE, 0),
        (errno.ENOENT,),
        uncontrolled=lacking(_ADMIN),
    ),
    Row(
        "swapoff",
        "stop swapping",
        ("swapoff", _NOWHERE),
        (errno.ENOENT, errno.EINVAL),
        uncontrolled=lacking(_ADMIN),
    ),
    Row(
        "acct",
        "write down every process",
        ("acct", _NOWHERE),
        (errno.ENOENT,),
        uncontrolled=lacking(_PACCT),
    ),
    Row("settimeofday", "set the clock", ("settimeofday", 0, 0), uncontrolled=lacking(_TIME)),
    Row(
        "syslog",
        "silence the kernel's log",
        ("syslog", 8, 0, 0),
        (errno.EINVAL,),
        uncontrolled=lacking(_SYSLOG),
    ),
    walls=HOST_RIGHTS,
    needs_root=True,
)
declare(
    "O23",
    Row("reboot", "restart the machine", ("reboot", 1, 2, 3, 0), (errno.EINVAL,)),
    Row("sethostname", "another host name", ("sethostname", text("x"), 1)),
    walls=OWN_RIGHTS,
)
declare(
    "O23",
    Row("quotactl", "write out the quotas", ("quotactl", _ANY_QUOTA_SYNC, 0, 0, 0)),
    Row(
        "perf_event_open",
        "count what the processor does",
        ("perf_event_open", text(_PERF), 0, -1, -1, 0),
        walls=DESCRIPTOR,
        uncontrolled=(
            "performance events are root's on this host"
            if _setting("kernel/perf_event_paranoid") > _USERS_OWN
            else ""
        ),
    ),
    walls=FILTERS,
)

# --- past flaws ---------------------------------------------------------------------------------

_MOVE: Final = ("splice", IN_FD, 0, OUT_FD, 0, 1, _NONBLOCK)
declare(
    "O18",
    Row("splice", "move bytes between the protocol's pipes", _MOVE, _FULL),
    Row("tee", "copy bytes between them", ("tee", IN_FD, OUT_FD, 1, _NONBLOCK), _FULL),
    Row("vmsplice", "give its pages to a pipe", ("vmsplice", OUT_FD, 0, 0, _NONBLOCK)),
    walls=FILTERS,
)
declare("O40", Row("dirty pipe", "the call of Dirty Pipe", _MOVE, _FULL), walls=FILTERS)


def _between_pipes(what: str, *arguments: int) -> None:
    """The call as such, before any other that is forbidden, too."""
    try:
        call(what, *arguments)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ESPIPE, errno.EBADF}:
            raise


@native("O18", "a file into the protocol's pipe by sendfile", walls=OPEN)
def sendfile(targets: Targets) -> str:
    _between_pipes("sendfile", OUT_FD, IN_FD, 0, 1)
    end = call("open", text(targets["file"]), os.O_RDONLY)
    return f"{call('sendfile', OUT_FD, end, 0, _SOME)} bytes"


@native("O18", "a file into another by copy_file_range", walls=(*OPEN, *LIMITS))
def copy_file_range(targets: Targets) -> str:
    _between_pipes("copy_file_range", IN_FD, 0, OUT_FD, 0, 1, 0)
    file = call("open", text(targets["file"]), os.O_RDWR)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the limit answers, and does not kill
    return f"{call('copy_file_range', file, words(0), file, words(_SOME), 1, 0)} bytes"


declare(
    "O40",
    Row("ebpf", "a program of eBPF", ("bpf", 5, _BPF_PROGRAM, 128), (errno.EINVAL, errno.E2BIG)),
    walls=HOST_RIGHTS,
    needs_root=True,
    uncontrolled=lacking(_ADMIN),
)
declare(
    "O40",
    Row("packet", "the socket of several kernel flaws", ("socket", 17, 3, 0)),
    walls=(*OWN_RIGHTS, "rlimits_closed"),
)

# --- terminals ----------------------------------------------------------------------------------


def _no_terminal() -> str:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return "the suite was not started from a terminal"
    return ""


_TERMINAL: Final = (*OPEN, "session")
_NO_TTY: Final = _no_terminal()


def _at_terminal(request: int) -> Callable[[Targets], str]:
    def run(targets: Targets) -> str:
        del targets
        end = call("open", text("/dev/tty"), os.O_RDWR)
        # Only the way is tried: what would be typed is at no address.
        return beyond((errno.EFAULT, errno.EINVAL, errno.ENOTTY), "ioctl", end, request, 0)

    return run


for _name, _title, _request in (
    ("input", "type into the user's terminal", _TTY_INPUT),
    ("console", "paste into the user's console", _CONSOLE),
    ("foreground", "take the terminal from its job", _TTY_GROUP),
):
    native("O27", _title, walls=_TERMINAL, uncontrolled=_NO_TTY)(
        named(_name, _at_terminal(_request))
    )

_SWITCH: Final = "dev/tty/legacy_tiocsti"
_NO_PUSHING: Final = (
    ""
    if Path("/dev/ptmx").exists()
    and (_setting(_SWITCH) or not Path(f"/proc/sys/{_SWITCH}").exists())
    else "this host has no pushing into terminals"
)


@native("O27", "make a terminal and type into it", walls=OPEN, uncontrolled=_NO_PUSHING)
def own_terminal(targets: Targets) -> str:
    del targets
    master = call("open", text("/dev/ptmx"), os.O_RDWR | os.O_NOCTTY)
    call("ioctl", master, _PTY_UNLOCK, text(bytes(4)))
    call("setsid")
    slave = call("ioctl", master, _PTY_PEER, os.O_RDWR)
    call("ioctl", slave, _TTY_OWN, 0)
    return f"typed: {call('ioctl', slave, _TTY_INPUT, text('x'))}"
