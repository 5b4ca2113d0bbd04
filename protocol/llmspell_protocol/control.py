"""The tiny protocol between a supervisor and its zygotes, both of them ours.

One `SOCK_SEQPACKET` pair per zygote; one packet is one msgpack message; descriptors travel beside
it by SCM_RIGHTS. The zygote speaks first: `Hello` once it is jailed, or `Unavailable` and its end.
Then every `Fork` is answered by `Forked` (with the worker's pidfd) or `ForkFailed`, and every
worker that was forked ends with one `Exited`. A zygote that reads the end of the stream exits, and
with it, as pid 1 of its namespace, every worker.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ._describe import Parameter

MAX_PACKET: Final = 256 * 1024
"""Bytes of one packet. The largest, `Hello` with the library's documentation, is near 10 KB."""

CONTROL_FD: Final = 3
"""The descriptor on which a zygote finds its end of the pair."""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decided for one worker, in the units of the kernel."""

    memory: int
    """Bytes of private memory (`RLIMIT_DATA`)."""
    heap: int
    """Bytes for the script engine; less than `memory`, so that its own error comes first."""
    cpu_seconds: int
    """`RLIMIT_CPU`: a backstop, above the limit that the supervisor's clock enforces."""
    jit: bool = False


class MethodDoc(msgspec.Struct, frozen=True):
    """One function of the library inside the worker, as `info` shows it."""

    module: str
    name: str
    doc: str
    parameters: tuple[Parameter, ...]
    result: str


class ControlMessage(msgspec.Struct, tag=True, frozen=True):
    """Base of the control messages."""


class Fork(ControlMessage, frozen=True):
    """Fork a worker. Beside it: the worker's read end, its write end, its cgroups' `procs`."""

    id: int
    options: WorkerOptions


class Hello(ControlMessage, frozen=True):
    """The zygote is jailed and ready to fork."""

    engine: str
    version: str
    suffixes: tuple[str, ...]
    layers: dict[str, str]
    library: tuple[MethodDoc, ...]


class Unavailable(ControlMessage, frozen=True):
    """The zygote could not start, and exits. `layer` is empty when containment was not the cause."""

    layer: str
    reason: str
    remedy: str


class Forked(ControlMessage, frozen=True):
    """Worker `id` exists. Beside it: its pidfd."""

    id: int


class ForkFailed(ControlMessage, frozen=True):
    """Worker `id` could not be forked."""

    id: int
    reason: str


class Exited(ControlMessage, frozen=True):
    """Worker `id` has been reaped. `status` is that of wait(2); times are seconds of `rusage`."""

    id: int
    status: int
    cpu: float
    max_rss: int
    """Peak resident memory in bytes, pages shared with the zygote included."""


ZygoteMessage = Hello | Unavailable | Forked | ForkFailed | Exited
