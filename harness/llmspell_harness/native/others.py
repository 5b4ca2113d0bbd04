"""Other processes: the supervisor, the zygote, the neighbour. Signals, tracing, memory."""

from __future__ import annotations

import errno
import os
import re
import signal
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._attack import native
from ._raw import address, call, filled, named, read, refusal, space, text, trying, words
from ._rows import Row, declare
from ._walls import (
    FILTERS,
    MEMORY,
    OPEN,
    SIBLING,
    SIBLING_MEMORY,
    SIGNAL,
    against_root,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._attack import Targets

_ZYGOTE: Final = 1
"""Pid 1 of the workers' namespace."""
_PIDS: Final = range(2, 400)
"""Where neighbours are: numbers begin anew in each zygote."""
_PATIENCE: Final = 1.0
"""Seconds for the neighbour to hold its canary."""
_SEIZE: Final = 0x4206
_TRACE_ME: Final = 0
_SUSPEND_SECCOMP: Final = 1 << 21
_QUEUED: Final = struct.pack("=iii", signal.SIGCONT, 0, -1) + bytes(116)
"""A siginfo_t of SI_QUEUE."""
_F_SETOWN: Final = 8
_OUT: Final = 4
_CHUNK: Final = 1 << 16
_REACH: Final = 32 << 20
"""Bytes to search beyond what was mapped when the zygote started."""
_MAPPINGS: Final = 0x7000_0000_0000
"""Programs and their heaps lie below, what is mapped above."""
_TOKEN: Final = re.compile(rb"canary-neighbour-[0-9a-f]{24}")
_LENGTH: Final = 41
_DESCRIPTORS: Final = 16


def _yama() -> str:
    try:
        strict = Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip() != "0"
    except OSError:
        return ""
    return "Yama on this host lets only parents trace" if strict else ""


# --- signals to the host ------------------------------------------------------------------------

_SIGNALS: Final[dict[str, tuple[str, Callable[[int], int]]]] = {
    "kill": ("a signal to the supervisor", lambda pid: call("kill", pid, signal.SIGCONT)),
    "tkill": ("likewise, by tkill", lambda pid: call("tkill", pid, signal.SIGCONT)),
    "tgkill": ("likewise, by tgkill", lambda pid: call("tgkill", pid, pid, signal.SIGCONT)),
    "rt_sigqueueinfo": (
        "likewise, with data",
        lambda pid: call("rt_sigqueueinfo", pid, signal.SIGCONT, text(_QUEUED)),
    ),
    "rt_tgsigqueueinfo": (
        "likewise, with data and to a thread",
        lambda pid: call("rt_tgsigqueueinfo", pid, pid, signal.SIGCONT, text(_QUEUED)),
    ),
}


def _at_supervisor(what: str, act: Callable[[int], int]) -> Callable[[Targets], str]:
    def run(targets: Targets) -> str:
        return f"{what} answered {act(targets['supervisor'])}"

    return run


for _name, (_title, _act) in _SIGNALS.items():
    native("O05", _title, walls=SIGNAL)(named(_name, _at_supervisor(_name, _act)))

# The kernel answers 0 even where it has refusal every one: only the call itself can be stopped.
native("O05", "a signal to every process there is", walls=FILTERS, neighbour=True)(
    named("everyone", trying("kill", -1, 0))
)
native("O05", "a signal to the zygote", walls=SIBLING)(
    named("zygote", trying("kill", _ZYGOTE, signal.SIGCONT))
)
native(
    "O05",
    "a signal to the supervisor by the pipe that it owns",
    walls=(*FILTERS, "pid_namespace"),
)(named("owner", _at_supervisor("owner", lambda pid: call("fcntl", _OUT, _F_SETOWN, pid))))


@native("O10", "a signal to the supervisor by its pidfd", walls=(*SIGNAL, "rlimits_closed"))
def pidfd_signal(targets: Targets) -> str:
    end = call("pidfd_open", targets["supervisor"], 0)
    return f"answered {call('pidfd_send_signal', end, signal.SIGCONT, 0, 0)}"


@native(
    "O10",
    "take a descriptor out of the supervisor",
    walls=(*MEMORY, "rlimits_closed"),
    uncontrolled=_yama(),
)
def pidfd_getfd(targets: Targets) -> str:
    end = call("pidfd_open", targets["supervisor"], 0)
    return f"descriptor {_take(end)}"


def _take(pidfd: int) -> int:
    for number in range(_DESCRIPTORS):
        try:
            return call("pidfd_getfd", pidfd, number, 0)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
    raise refusal(errno.EBADF)


# --- what it inherited --------------------------------------------------------------------------

_INHERITED: Final = range(64)
_OWN: Final = (3, 4)


@native("O09", "write to descriptors that it inherited", walls=("fds", "seccomp"))
def inherited(targets: Targets) -> str:
    del targets
    found = []
    for end in _INHERITED:
        try:
            if end not in _OWN:
                call("write", end, b"", 0)
                found.append(end)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
    if not found:
        raise refusal(errno.EBADF)
    return f"descriptors {found}"


@native(
    "O09",
    "a signal to another spell by the pidfd that the zygote holds",
    walls=(*SIBLING, "fds"),
    neighbour=True,
)
def inherited_pidfd(targets: Targets) -> str:
    del targets
    for end in _INHERITED:
        try:
            return f"answered {call('pidfd_send_signal', end, signal.SIGCONT, 0, 0)}"
        except OSError as error:
            if error.errno not in {errno.EBADF, errno.EINVAL, errno.ESRCH}:
                raise
    raise refusal(errno.EBADF)


# --- the neighbour ------------------------------------------------------------------------------


def _neighbours(act: Callable[[int], str]) -> str:
    """Do it to each process beside us, until it works for one that is not ourselves."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        for pid in _PIDS:
            try:
                outcome = act(pid)
            except ProcessLookupError:
                continue
            if outcome and not _is_own(pid):
                return outcome
    raise refusal(errno.ESRCH)


def _is_own(pid: int) -> bool:
    """Whether it is a thread of ours. Asked last: it takes calls that are forbidden, too."""
    try:
        call("tgkill", call("getpid"), pid, 0)
    except OSError:
        return False
    return True


@native("O05", "a signal to another spell", walls=SIBLING, neighbour=True)
def neighbour(targets: Targets) -> str:
    del targets
    return _neighbours(lambda pid: f"kill answered {call('kill', pid, signal.SIGCONT)}")


@native(
    "O10",
    "take a pipe out of another spell",
    walls=(*SIBLING_MEMORY, "rlimits_closed"),
    neighbour=True,
    uncontrolled=_yama(),
)
def neighbour_getfd(targets: Targets) -> str:
    del targets

    def take(pid: int) -> str:
        return f"descriptor {_take(call('pidfd_open', pid, 0))}"

    return _neighbours(take)


def _areas() -> tuple[tuple[int, int], ...]:
    """Where a fork of this process allocates: around the heap, and below all that is mapped."""
    areas = []
    lowest = None
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if line.endswith("[heap]"):
            areas.append((start, end + _REACH))
        elif start >= _MAPPINGS and lowest is None:
            lowest = start
    if lowest is not None:
        areas.append((lowest - _REACH, lowest + _REACH))
    return tuple(areas)


_AREAS: Final = _areas()
_SOMETHING: Final = space(16)


def _peek(pid: int, start: int, size: int) -> bytes:
    """Memory of another process; less than asked for, where less is mapped."""
    data = space(size)
    local, remote = words(address(data), size), words(start, size)
    return filled(data, call("process_vm_readv", pid, local, 1, remote, 1, 0))


def _search(pid: int) -> str:
    """The canary in that memory, or nothing."""
    _peek(pid, address(_SOMETHING), 1)  # the same place in every fork: whether it may at all
    for low, high in _AREAS:
        for start in range(low, high, _CHUNK):
            try:
                data = _peek(pid, start, _CHUNK + _LENGTH)
            except OSError as error:
                if error.errno != errno.EFAULT:
                    raise
                continue
            if found := _TOKEN.search(data):
                return found[0].decode()
    return ""


@native(
    "O07",
    "read the memory of another spell",
    walls=SIBLING_MEMORY,
    neighbour=True,
    uncontrolled=_yama(),
)
def neighbour_memory(targets: Targets) -> str:
    del targets
    return _neighbours(_search)


# --- the host's processes -----------------------------------------------------------------------


@native("O07", "read the supervisor's memory", walls=MEMORY, uncontrolled=_yama())
def vm_readv(targets: Targets) -> str:
    start, size = targets["heap"]
    return _peek(targets["supervisor"], start, size).decode("latin-1")


@native("O07", "write into the supervisor's memory", walls=MEMORY, uncontrolled=_yama())
def vm_writev(targets: Targets) -> str:
    start, _ = targets["heap"]
    letter = text("c")  # that is there already: the token's first
    local, remote = words(address(letter), 1), words(start + 32, 1)
    done = call("process_vm_writev", targets["supervisor"], local, 1, remote, 1, 0)
    return f"wrote {done} byte"


_PRIVATE_PROC: Final = (*MEMORY, "rlimits_closed")


@native("O07", "read /proc/PID/mem of the supervisor", walls=_PRIVATE_PROC)
def proc_mem(targets: Targets) -> str:
    end = call("open", text(f"/proc/{targets['supervisor']}/mem"), os.O_RDONLY)
    start, size = targets["heap"]
    data = space(size)
    return filled(data, call("pread64", end, data, size, start)).decode("latin-1")


def _proc(name: str) -> Callable[[Targets], str]:
    def run(targets: Targets) -> str:
        found = read(f"/proc/{targets['supervisor']}/{name}")
        return f"{len(found)} bytes"

    return run


for _name in ("environ", "maps"):
    native("O07", f"read /proc/PID/{_name} of the supervisor", walls=_PRIVATE_PROC)(
        named(f"proc {_name}", _proc(_name))
    )
native("O07", "read how the supervisor was called", walls=OPEN)(
    named("proc cmdline", _proc("cmdline"))
)


@native(
    "O07",
    "list what the supervisor has open",
    walls=tuple(wall for wall in _PRIVATE_PROC if wall != "capabilities"),
)
def proc_fd(targets: Targets) -> str:
    where = f"/proc/{targets['supervisor']}/fd"
    end = call("open", text(where), os.O_RDONLY | os.O_DIRECTORY)
    return f"{call('getdents64', end, space(4096), 4096)} bytes of names"


# --- tracing ------------------------------------------------------------------------------------


@native("O06", "trace the supervisor", walls=MEMORY, uncontrolled=_yama())
def supervisor(targets: Targets) -> str:
    return f"seized: {call('ptrace', _SEIZE, targets['supervisor'], 0, 0)}"


@native(
    "O06",
    "trace the supervisor without its filters",
    walls=MEMORY,
    needs_root=True,
)
def suspend_seccomp(targets: Targets) -> str:
    return f"seized: {call('ptrace', _SEIZE, targets['supervisor'], 0, _SUSPEND_SECCOMP)}"


native("O06", "trace the zygote", walls=SIBLING_MEMORY, uncontrolled=_yama())(
    named("trace zygote", trying("ptrace", _SEIZE, _ZYGOTE, 0, 0))
)


@native(
    "O06",
    "trace another spell",
    walls=SIBLING_MEMORY,
    neighbour=True,
    uncontrolled=_yama(),
)
def trace_neighbour(targets: Targets) -> str:
    del targets

    def seize(pid: int) -> str:
        try:
            return f"seized: {call('ptrace', _SEIZE, pid, 0, 0)}"
        except PermissionError:
            if _is_own(pid):  # nobody may trace himself
                return ""
            raise

    return _neighbours(seize)


native("O06", "be traced by the zygote", walls=FILTERS)(
    named("trace me", trying("ptrace", _TRACE_ME, 0, 0, 0))
)
native("O06", "compare its own with the supervisor's kernel objects", walls=MEMORY)(
    named("kcmp", _at_supervisor("kcmp", lambda pid: call("kcmp", pid, pid, 0, 0, 1)))
)


# --- limits and order of others -----------------------------------------------------------------

_NOFILE: Final = 7
native("O20", "the limits of the zygote", walls=FILTERS)(
    named("limits of the zygote", trying("prlimit64", _ZYGOTE, _NOFILE, 0, space(16)))
)
native(
    "O20",
    "the limits of the supervisor",
    walls=(*FILTERS, "pid_namespace", *against_root("uid")),
)(
    named(
        "limits of the supervisor",
        _at_supervisor("prlimit64", lambda pid: call("prlimit64", pid, _NOFILE, 0, space(16))),
    )
)

_BEST_EFFORT: Final = 2 << 13 | 4
_ALL_PROCESSORS: Final = text(b"\xff" * 128)
declare(
    "O21",
    Row("nice value", "the zygote's nice value", ("setpriority", 0, _ZYGOTE, 0)),
    Row(
        "processors",
        "the zygote's processors",
        ("sched_setaffinity", _ZYGOTE, 128, _ALL_PROCESSORS),
    ),
    Row("scheduler", "the zygote's scheduler", ("sched_setscheduler", _ZYGOTE, 0, space(4))),
    Row("disks", "the zygote's turn at the disks", ("ioprio_set", 1, _ZYGOTE, _BEST_EFFORT)),
    walls=FILTERS,
)
