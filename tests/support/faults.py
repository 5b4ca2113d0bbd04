"""Kernel calls that fail: which ones some code makes, and one of them refused.

    with kernel_calls("llmspell_workers.containment") as calls:
        ...
    calls.seen                          # every place that the kernel was called from

    with kernel_calls("llmspell_workers.containment", Fault(place, errno.EPERM)) as calls:
        ...
    assert calls.hit

They are replaced where Python meets the kernel: functions of `os` and its kind, methods of sockets
and of epoll, and the C functions that the workers' `_libc` has looked up. What was seen is kept in
memory that forks share: a worker's calls are made two forks away, without a file or a descriptor.
"""

from __future__ import annotations

import _socket
import builtins
import ctypes
import fcntl
import os
import re
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EINTR, EMFILE, ENOMEM, ENOSYS, EPERM
from mmap import mmap
from types import FrameType
from typing import Any, Final, NamedTuple, NoReturn

ERRNOS: Final = (ENOMEM, EMFILE, EINTR, ENOSYS, EPERM)
LIE: Final = 0
"""In place of an errno: the call does nothing, and says that it went well."""

_ROOM: Final = 1 << 16
"""Bytes for the places of one run: eighty of sixty bytes for a worker."""
_USED: Final = struct.Struct("I?")
_FUNCTIONS: Final[dict[Any, str]] = {
    builtins: "open",
    os: "open read write close dup2 pipe pipe2 fork kill waitpid wait4 waitid chdir fstat statvfs listdir setsid"
    " getsid setgroups setresuid setresgid getresuid getresgid getgroups urandom umask"
    " pidfd_open posix_spawn set_blocking mkdir",
    fcntl: "fcntl",
    resource: "prlimit getrlimit",
    signal: "set_wakeup_fd pthread_sigmask pidfd_send_signal",
    time: "clock_gettime",
    select: "poll",
    _socket: "socketpair",
}
_METHODS: Final = ("connect", "recvmsg", "send", "sendmsg", "shutdown")
_C_FUNCTIONS: Final = ("_SYSCALL", "_PRCTL", "_UNSHARE", "_MOUNT", "_UMOUNT2", "_SIGACTION")
_BETWEEN: Final = (
    "contextlib",
    "asyncio.",
    "selectors",
    "socket",
    "llmspell_workers.containment._libc",
)
"""Modules that call the kernel on behalf of whoever called them."""


class Fault(NamedTuple):
    """Which calls fail, and how."""

    place: str
    """As in `KernelCalls.seen`; or that without the line, or the name of a layer alone."""
    errno: int

    def is_at(self, place: str) -> bool:
        """Whether a call from there fails."""
        return self.place in {place, re.sub(r":\d+ ", " ", place), place.partition(" ")[0]}


class KernelCalls:
    """What was called, in this process and its forks."""

    def __init__(self, package: str, fault: Fault | None) -> None:
        self._package = package
        self._fault = fault
        self._memory = mmap(-1, _ROOM)

    @property
    def seen(self) -> list[str]:
        """The places, each once, in order: `module.function:line call`.

        Before that the layer of containment that is being applied, if any, and a space.
        """
        used, _ = _USED.unpack_from(self._memory)
        return self._memory[_USED.size : _USED.size + used].decode().splitlines()

    @property
    def hit(self) -> bool:
        """Whether the fault came to pass."""
        return bool(_USED.unpack_from(self._memory)[1])

    def fails(self, name: str) -> int | None:
        """Note a call; the errno by which it fails, or None."""
        place = self._place(name)
        if place is None:
            return None
        used, hit = _USED.unpack_from(self._memory)
        hits = self._fault is not None and self._fault.is_at(place)
        if place not in self.seen:
            line = f"{place}\n".encode()
            self._memory[_USED.size + used : _USED.size + used + len(line)] = line
            used += len(line)
        _USED.pack_into(self._memory, 0, used, hit or hits)
        return self._fault.errno if self._fault is not None and hits else None

    def _place(self, name: str) -> str | None:
        frame = sys._getframe(3)
        while (module := frame.f_globals["__name__"]).startswith(_BETWEEN) and frame.f_back:
            frame = frame.f_back
        if not module.startswith(self._package):
            return None
        place = f"{module.rpartition('.')[2]}.{frame.f_code.co_name}:{frame.f_lineno} {name}"
        return f"{layer} {place}" if (layer := _layer(frame)) else place


def _layer(frame: FrameType | None) -> str:
    """The layer for which `Layers.attempt` is at work."""
    while frame is not None:
        if frame.f_code.co_qualname == "Layers.attempt":
            return str(frame.f_locals["name"])
        frame = frame.f_back
    return ""


@contextmanager
def kernel_calls(package: str, fault: Fault | None = None) -> Iterator[KernelCalls]:
    """Watch the kernel calls of a package's modules, and let one fail."""
    calls = KernelCalls(package, fault)
    with ExitStack() as undo:
        install(calls, undo)
        yield calls


def install(calls: KernelCalls, undo: ExitStack) -> None:
    """Replace every call, until `undo` is closed."""

    def replace(owner: Any, name: str, new: Any) -> None:
        undo.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, new)

    for module, names in _FUNCTIONS.items():
        for name in names.split():
            replace(module, name, _raising(calls, name, getattr(module, name)))
    for owner in _sockets(replace):
        for name in _METHODS:
            replace(owner, name, _raising(calls, name, getattr(owner, name)))
    if "selectors" in sys.modules:
        epoll = sys.modules["selectors"].DefaultSelector
        replace(epoll, "register", _raising(calls, "epoll_ctl", epoll.register))
    if libc := sys.modules.get("llmspell_workers.containment._libc"):
        for name in _C_FUNCTIONS:
            replace(libc, name, _failing(calls, name, getattr(libc, name), -1))
        replace(libc, "_SIGNAL", _failing(calls, "_SIGNAL", libc._SIGNAL, libc._SIG_ERR))


def _sockets(replace: Callable[[Any, str, Any], None]) -> list[Any]:
    """Classes of sockets that can be changed; the one in C is replaced by a heir."""
    heir = type("socket", (_socket.socket,), {})
    replace(_socket, "socket", heir)
    return [heir, sys.modules["socket"].socket] if "socket" in sys.modules else [heir]


def _raising(calls: KernelCalls, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        code = calls.fails(name)
        if code is None:
            return real(*arguments, **options)
        if code != LIE:
            raise OSError(code, os.strerror(code))
        return None

    return call


def _failing(
    calls: KernelCalls, name: str, real: Callable[..., Any], failure: Any
) -> Callable[..., Any]:
    """A C function, which tells by its result and `errno`."""

    def call(*arguments: Any) -> Any:
        code = calls.fails(name)
        if code is None:
            return real(*arguments)
        ctypes.set_errno(code)
        return 0 if code == LIE else failure

    return call


def main(engine: str, isolation: str, place: str, code: str) -> NoReturn:
    """A zygote, a real one, in which calls fail."""
    from llmspell_workers import zygote  # with all that is about to be replaced

    install(KernelCalls("llmspell_workers", Fault(place, int(code))), ExitStack())
    zygote.main(engine, isolation)
