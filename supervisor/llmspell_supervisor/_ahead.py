"""Asking a zygote for a worker, which needs no event loop, and doing so ahead of everything else.

The command asks as soon as it knows the policy: the worker is forked and locks itself on one core
while the supervisor imports `asyncio` on the other. What was begun so is handed to `Supervisor`.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
from typing import Final, NamedTuple, Self

import msgspec

from llmspell_protocol import control

from . import _launch
from ._cgroups import Cgroups, WorkerGroup
from ._policy import ENGINE_OVERHEAD, Policy

_CPU_BACKSTOP: Final = 2
"""Seconds of `RLIMIT_CPU` above the limit that the supervisor's clock enforces first."""


class Asked(NamedTuple):
    """A worker that a zygote was asked for. The receiver owns the group and both descriptors."""

    number: int
    options: control.WorkerOptions
    group: WorkerGroup
    read_fd: int
    """Non-blocking; what the worker says."""
    write_fd: int
    """Non-blocking; what the worker hears."""


def worker_options(policy: Policy, engine: str) -> control.WorkerOptions:
    """What a worker of `engine` is told of its policy."""
    overhead = ENGINE_OVERHEAD.get(engine, max(ENGINE_OVERHEAD.values()))
    return control.WorkerOptions(
        memory=policy.memory,
        heap=policy.memory - overhead,
        cpu_seconds=math.ceil(policy.cpu) + _CPU_BACKSTOP,
        jit=policy.jit,
    )


def ask(
    zygote: socket.socket, cgroups: Cgroups, number: int, options: control.WorkerOptions
) -> Asked:
    """Ask for a worker. Raises `OSError`, and has left nothing open then."""
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as undo:
        group = cgroups.create(number, options.memory)
        undo.callback(group.remove)
        our_in, worker_out = _pipe(undo, theirs)
        worker_in, our_out = _pipe(theirs, undo)
        fds = [worker_in, worker_out]
        for fd in group.open_procs():
            theirs.callback(os.close, fd)
            fds.append(fd)
        os.set_blocking(our_in, False)
        os.set_blocking(our_out, False)
        message = msgspec.msgpack.encode(control.Fork(number, options))
        socket.send_fds(zygote, [message], fds, socket.MSG_DONTWAIT)
        undo.pop_all()
    return Asked(number, options, group, our_in, our_out)


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed by these stacks."""
    ends = os.pipe()
    reader.callback(os.close, ends[0])
    writer.callback(os.close, ends[1])
    return ends


class Ahead:
    """A zygote and one worker of it, asked for before there is a supervisor to hold them.

    A context: what no supervisor has taken over by its end is gone then. Raises `OSError`.
    """

    def __init__(self, engine: str, policy: Policy) -> None:
        self.engine = engine
        self.strict = policy.isolation == "strict"
        self.cgroups = Cgroups()
        self.taken = False
        """Set by the supervisor that takes over all of it."""
        try:
            self.launched = _launch.launch(engine, strict=self.strict)
        except OSError:
            self.cgroups.close()
            raise
        try:
            self.asked = ask(self.launched.control, self.cgroups, 0, worker_options(policy, engine))
        except OSError:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.taken:
            os.close(self.asked.read_fd)
            os.close(self.asked.write_fd)
            self._end()

    def _end(self) -> None:
        self.launched.stop()  # and with it, as its pid 1 goes, the worker
        self.cgroups.close()
