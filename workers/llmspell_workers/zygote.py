"""The zygote: imports one engine, jails itself, and forks single-use workers on request.

Started by the supervisor as `python -I -S` with an empty environment; see `llmspell_protocol.control`
for what is said over descriptor 3. The process that the supervisor spawned enters the namespaces
and waits; the one that it forks is pid 1 in there and does everything else.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import gc
import os
import select
import struct
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from llmspell_protocol import control

from ._rehearsal import rehearse
from .containment import (
    LayerMissing,
    Layers,
    detach,
    jail,
    prepare_filter,
    prepare_heap,
    prepare_trap,
)
from .engines import load_engine
from .library import LIBRARY
from .worker import run_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from .containment import Filter
    from .engines import ScriptEngine

MAX_DESCRIPTORS: Final = 8
"""Beside a `Fork`: two pipe ends and at most one `cgroup.procs` per hierarchy."""

_DESCRIPTOR: Final = struct.Struct("i")
"""One descriptor in the ancillary data of SCM_RIGHTS (unix(7))."""

_ANY_CHILD: Final = 0x4000_0000
"""__WALL: also one that was cloned to end without a signal (wait(2))."""
_LOOK: Final = os.WEXITED | os.WNOHANG | os.WNOWAIT | _ANY_CHILD
"""Which child has ended, without reaping it (waitid(2))."""
_REHEARSED: Final = 2
"""The request before which the engine is rehearsed: who wants one worker does not wait for it."""
MAX_INHERITED: Final = 1 << 30
"""Above every descriptor: close_range(2) looks only at those that are open."""


def main(engine_name: str, isolation: str) -> NoReturn:
    """The zygote of the engine of that name; `isolation` is `strict` or `degraded`, as in a policy.

    Never returns.
    """
    run_zygote(
        engine_name, lambda: load_engine(engine_name), Layers(strict=isolation != "degraded")
    )


def run_zygote(engine_name: str, load: Callable[[], ScriptEngine], layers: Layers) -> NoReturn:
    """Enter the namespaces, fork pid 1, and wait for its end. Never returns."""
    os.closerange(control.CONTROL_FD + 1, MAX_INHERITED)  # what an embedder left inheritable
    pipe = _socket.socket(fileno=control.CONTROL_FD)
    doing = f"engine {engine_name}"
    try:
        prepare_heap()
        # Loaded before root's rights are given up: its interpreter may be readable to root only.
        engine = load()
        engine.preload()
        trap = prepare_trap()
        filters = {
            jit: prepare_filter(engine.syscalls(jit=jit), trap, jit=jit) for jit in (False, True)
        }
        doing = "containment"
        detach(layers)
        if pid := os.fork():
            pipe.close()
            _, status = os.waitpid(pid, 0)
            os._exit(os.waitstatus_to_exitcode(status) & 0x7F)
        jail(layers)
    except LayerMissing as missing:
        _say(pipe, control.Unavailable(missing.layer, missing.reason, missing.remedy))
        os._exit(1)
    except Exception as error:
        _say(pipe, control.Unavailable("", f"{doing}: {error}", ""))
        raise
    gc.disable()
    gc.freeze()  # the collector leaves the shared pages alone, so that they stay shared
    Zygote(pipe, engine, filters, layers).serve()
    os._exit(0)


def _say(pipe: _socket.socket, message: control.ControlMessage) -> None:
    pipe.send(_encode(message))


class Zygote:
    """The fork loop. Single-threaded; a packet and the end of a worker are its only events."""

    def __init__(
        self,
        pipe: _socket.socket,
        engine: ScriptEngine,
        filters: dict[bool, Filter],
        layers: Layers,
    ) -> None:
        self._pipe = pipe
        self._engine = engine
        self._filters = filters
        self._layers = layers
        self._workers: dict[int, tuple[int, int]] = {}  # pidfd to pid and the supervisor's id
        self._requests = 0
        self._poll = select.poll()
        self._decode = msgspec.msgpack.Decoder(control.Fork).decode

    def serve(self) -> None:
        """Answer until the supervisor has gone."""
        _say(self._pipe, self._hello())
        listening = self._pipe.fileno()
        self._poll.register(listening, select.POLLIN)
        while True:
            # No SIGCHLD: a signal that arrives just before a blocking call would go unnoticed.
            for fd, _ in self._poll.poll():
                if fd != listening:
                    self._reap(fd)
                elif not self._listen():
                    return

    def _hello(self) -> control.Hello:
        docs = tuple(
            control.MethodDoc(module, s.name, s.doc, s.parameters, s.result)
            for module, functions in LIBRARY.items()
            for s in functions.values()
        )
        engine = self._engine
        return control.Hello(
            engine.name, engine.version, engine.suffixes, self._layers.as_dict(), docs
        )

    def _listen(self) -> bool:
        """Serve one request. False when there will be none."""
        data, fds, lost = _receive(self._pipe)
        if not data:
            return False
        try:
            request = self._decode(data)
            if lost:  # no descriptor left; a worker without its control group is none
                _say(self._pipe, control.ForkFailed(request.id, os.strerror(errno.EMFILE)))
            else:
                self._fork(request, fds)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _fork(self, request: control.Fork, fds: list[int]) -> None:
        self._bury_strays()
        self._requests += 1
        if self._requests == _REHEARSED:
            rehearse(self._engine)
        try:
            pid = os.fork()
        except OSError as error:
            _say(self._pipe, control.ForkFailed(request.id, str(error)))
            return
        if pid == 0:
            run_worker(self._engine, request.options, self._filters, self._layers, fds)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:  # no descriptor left: a worker that nobody could kill is none
            # Nor can we, under our own filter. It waits for a script, and its pipe ends.
            _say(self._pipe, control.ForkFailed(request.id, str(error)))
            return
        self._workers[pidfd] = pid, request.id
        self._poll.register(pidfd, select.POLLIN)
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _DESCRIPTOR.pack(pidfd))
        self._pipe.sendmsg([_encode(control.Forked(request.id))], [rights])

    def _reap(self, pidfd: int) -> None:
        """A pidfd has become readable: its worker has ended, threads and all (pidfd_open(2))."""
        pid, worker = self._workers.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        cpu = usage.ru_utime + usage.ru_stime
        _say(self._pipe, control.Exited(worker, status, cpu, usage.ru_maxrss * 1024))
        self._bury_strays()

    def _bury_strays(self) -> None:
        """Reap what a worker left behind and the supervisor has killed: pid 1 is its parent now."""
        known = {pid for pid, _ in self._workers.values()}
        with contextlib.suppress(ChildProcessError):  # no child at all, which is usual
            # A worker that has ended is left to `_reap`, and what comes after it to the next time.
            while (ended := os.waitid(os.P_ALL, 0, _LOOK)) and ended.si_pid not in known:
                os.waitpid(ended.si_pid, _ANY_CHILD)


# As `socket.recv_fds`, which imports `array` when it is called: here there is no file to import
# from by then. And without `socket` a Lua zygote starts 4 ms sooner.
def _receive(pipe: _socket.socket) -> tuple[bytes, list[int], bool]:
    """One packet, the descriptors beside it, and whether some of them were lost on the way."""
    space = _socket.CMSG_LEN(MAX_DESCRIPTORS * _DESCRIPTOR.size)
    data, ancillary, flags, _ = pipe.recvmsg(control.MAX_PACKET, space)
    fds: list[int] = []
    for level, kind, content in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            whole = len(content) - len(content) % _DESCRIPTOR.size
            fds += (fd for (fd,) in _DESCRIPTOR.iter_unpack(content[:whole]))
    return data, fds, bool(flags & _socket.MSG_CTRUNC)


def _encode(message: control.ControlMessage) -> bytes:
    return msgspec.msgpack.encode(message)
