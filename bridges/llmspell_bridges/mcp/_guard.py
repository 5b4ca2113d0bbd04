"""The process above a server: starts it within limits, and lets nothing of it be left.

    python -I -S _guard.py ORDER        the order as JSON; standard streams are the server's

A server may be a script that starts a program that starts another. So the guard adopts whoever is
orphaned below it, and kills all of them when the server ends, when it is told to (SIGTERM), and when
the supervisor dies, however that happens. Run by its file name, so it imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Final, NoReturn, TypedDict

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38

MAX_DESCRIPTORS: Final = 1024
"""Open files of a server: what a login shell gives."""

NOT_STARTED: Final = 127
"""The exit status of a program that could not be started, as shells have it."""

_WAITED: Final = frozenset({signal.SIGTERM, signal.SIGCHLD})
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Order(TypedDict):
    """What is to be started. Sizes in bytes, times in seconds."""

    parent: int
    command: list[str]
    cwd: str
    memory: int
    cpu: int


def main() -> NoReturn:
    """Start the server and stay until it and all that it started are gone."""
    order: Order = json.loads(sys.argv[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != order["parent"]:
        os._exit(1)  # it died before the kernel was asked to tell
    server = os.fork()
    if not server:
        _become(order)
    # The ends of the pipes are the server's alone: they close when it is gone.
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    code: int | None = None
    while code is None and signal.sigwait(_WAITED) == signal.SIGCHLD:
        code = _reap(server)
    _end_all()
    os._exit(1 if code is None else code if code >= 0 else 128 - code)


def _become(order: Order) -> NoReturn:
    """Go on as the server."""
    try:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # should the guard be killed
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        for limit, value in (
            (resource.RLIMIT_DATA, order["memory"]),
            (resource.RLIMIT_CPU, order["cpu"]),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
        ):
            hard = resource.getrlimit(limit)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (bound, bound))
        os.chdir(order["cwd"])
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and that is inherited
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execv(order["command"][0], order["command"])  # noqa: S606 - no shell, on purpose
    except OSError as error:
        os.write(2, f"{order['command'][0]}: {error.strerror}\n".encode())
    os._exit(NOT_STARTED)


def _reap(server: int) -> int | None:
    """Collect who has ended; the exit code of the server, if it is one of them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == server:
            return os.waitstatus_to_exitcode(status)
        if not pid:
            return None


def _end_all() -> None:
    """Kill and collect until there is nobody: orphans come to us when their parent is gone."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # gone, and not ours: those wait for us to collect them
            if int(fields[1]) == own:  # proc_pid_stat(5): the parent
                yield int(name)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    main()
