"""More processes, more threads, and other programs."""

from __future__ import annotations

import _thread
import contextlib
import errno
import os
import signal
import tempfile
import time
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from llmspell_protocol import Result
from llmspell_workers.containment import OUT_FD

from .._attack import native
from .._program import writer
from . import _code
from ._raw import AT_FDCWD, address, call, refusal, text, words
from ._rows import Row, declare
from ._walls import CHANGE, DESCRIPTOR, FILTERS, LIMITS, PROCESS

if TYPE_CHECKING:
    from .._attack import Targets

_F_SETFD: Final = 2
_EMPTY_PATH: Final = 0x1000
_THREADS: Final = 12
"""A worker's group of processes and threads, where there is one, has room for these."""
_SMALL_STACK: Final = 1 << 16
_FORKS: Final = 8
_NOEXEC: Final = (
    "temporary files cannot be run on this host"
    if os.statvfs(tempfile.gettempdir()).f_flag & os.ST_NOEXEC
    else ""
)


def _heap() -> int:
    with open("/proc/self/maps") as file:
        return next(int(line.split("-")[0], 16) for line in file if line.endswith("[heap]\n"))


_HEAP: Final = _heap()
"""Where it begins, in every fork."""


def _gained() -> bytes:
    """What a worker says whose attack has succeeded."""
    value = msgspec.msgpack.encode(("gained", "ran a program out of memory"))
    body = msgspec.msgpack.encode(Result(msgspec.Raw(value)))
    return len(body).to_bytes(4, "big") + body


_IMAGE: Final = writer(OUT_FD, _gained())


def _child_ends(pid: int) -> int:
    """In the new process: no more of this. In the old one: its number."""
    if pid == 0:
        call("exit_group", 0)
    return pid


@native("O01", "fork", walls=(*PROCESS, "zygote_seccomp"))
def fork(targets: Targets) -> str:
    del targets
    return f"{[_child_ends(call('fork')) for _ in range(_FORKS)]}"


@native("O01", "vfork", walls=(*PROCESS, "zygote_seccomp"))
def vfork(targets: Targets) -> str:
    del targets
    if (pid := _code.run("vfork")) < 0:
        raise refusal(-pid)
    return f"process {pid}"


@native("O01", "clone a process", walls=PROCESS)
def clone(targets: Targets) -> str:
    del targets
    return f"{[_child_ends(call('clone', signal.SIGCHLD, 0, 0, 0, 0)) for _ in range(_FORKS)]}"


@native("O01", "clone3, whose flags no filter sees", walls=(*PROCESS, "zygote_seccomp"))
def clone3(targets: Targets) -> str:
    del targets
    request = words(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    return f"process {_child_ends(call('clone3', request, 64))}"


@native("O02", "start threads", walls=PROCESS)
def threads(targets: Targets) -> str:
    del targets
    _thread.stack_size(_SMALL_STACK)
    forever = _thread.allocate_lock()
    forever.acquire()
    for _ in range(_THREADS):
        try:
            _thread.start_new_thread(forever.acquire, ())
        except RuntimeError:
            raise refusal(errno.EAGAIN) from None
    return f"{_THREADS} threads"


def _arguments(*values: bytes) -> tuple[object, object]:
    """An argument vector, and what must live as long as it."""
    held = [text(value) for value in values]
    return words(*map(address, held), 0), held


def _folder(targets: Targets) -> bytes:
    return f"{targets['folder']}/executed-{time.monotonic_ns()}".encode()


@native("O03", "run a program", walls=CHANGE, uncontrolled=_NOEXEC)
def execve(targets: Targets) -> str:
    vector, _held = _arguments(b"tool", _folder(targets))
    return f"execve answered {call('execve', text(targets['program']), vector, 0)}"


@native("O03", "run a script by its first line", walls=CHANGE, uncontrolled=_NOEXEC)
def interpreter_line(targets: Targets) -> str:
    vector, _held = _arguments(b"script", _folder(targets))
    return f"execve answered {call('execve', text(targets['script']), vector, 0)}"


@native("O03", "run a program by execveat", walls=CHANGE, uncontrolled=_NOEXEC)
def execveat(targets: Targets) -> str:
    vector, _held = _arguments(b"tool", _folder(targets))
    return f"answered {call('execveat', AT_FDCWD, text(targets['program']), vector, 0, 0)}"


@native("O03", "run a program out of memory", walls=(*DESCRIPTOR, *LIMITS))
def memory_program(targets: Targets) -> str:
    del targets
    file = call("memfd_create", text("tool"), 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    call("write", file, _IMAGE, len(_IMAGE))
    call("fcntl", OUT_FD, _F_SETFD, 0)
    vector, _held = _arguments(b"tool")
    return f"execveat answered {call('execveat', file, text(''), vector, 0, _EMPTY_PATH)}"


_LOADERS: Final = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1")


@native(
    "O03",
    "run the dynamic loader, which runs what it is given",
    walls=CHANGE,
    uncontrolled="what it would load it could not open: no descriptor is left for it",
)
def loader(targets: Targets) -> str:
    vector, _held = _arguments(b"loader", targets["program"].encode(), _folder(targets))
    for path in _LOADERS:
        with contextlib.suppress(FileNotFoundError):
            return f"execve answered {call('execve', text(path), vector, 0)}"
    raise refusal(errno.ENOENT)


declare(
    "O04",
    Row("setsid", "leave its session", ("setsid",)),
    Row("setpgid", "leave its group", ("setpgid", 0, 0)),
    walls=FILTERS,
)


def _wait(*, lean: bool) -> NoReturn:
    """For ever; without the heap, if the end of many such shall show the kill and no more."""
    if lean:
        _code.run("shrink and wait", _HEAP, call("brk", 0) - _HEAP)
    while True:
        call("pause")


@native("O04", "a tree of daemons", walls=(*PROCESS, "zygote_seccomp"))
def tree(targets: Targets) -> str:
    size = targets.get("tree", _FORKS)
    for _ in range(size):
        if call("fork") == 0:
            call("setsid")
            if call("fork") == 0:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                _wait(lean="tree" in targets)
            call("exit_group", 0)
    while "tree" in targets:
        call("pause")
    return f"{size} daemons"
