"""What this host offers: a zygote and a worker without an engine, through the whole checklist."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn

from msgspec import msgpack

from ._checklist import contain, detach, jail, self_test
from ._layers import LayerMissing, Layers, LayerState
from ._plan import OUT_FD, Plan
from ._policy import SyscallPolicy, futex, plain, private_memory, read_only_from, write_only_to
from ._seccomp import prepare_filter
from ._trap import prepare_trap

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMORY: Final = 1 << 30
"""Bytes; a limit that the probe itself cannot meet."""
_CPU: Final = 5.0
_READ_SIZE: Final = 65536
_POLICY: Final = SyscallPolicy(
    (
        *read_only_from(),
        *write_only_to(),
        *private_memory(),
        *futex(),
        *plain(exit_group="end", getrandom="hash seeds"),
    )
)


def probe() -> list[LayerState]:
    """Try every layer for real, in forks that end at once. Call it in a single-threaded process.

    A layer that the host refuses is off, with its remedy. The cgroup is left out: only a
    supervisor can delegate one. Raises `LayerMissing` if the forks died without a word.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _ending(lambda: _outer(writer))
    os.close(writer)
    data = b""
    while part := os.read(reader, _READ_SIZE):
        data += part
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if not data:
        raise LayerMissing("probe", f"it died with status {os.waitstatus_to_exitcode(status)}")
    return [s for s in msgpack.decode(data, type=list[LayerState]) if s.name != "cgroup"]


def _ending(body: Callable[[], None]) -> NoReturn:
    try:
        body()
    finally:
        os._exit(0)


def _outer(writer: int) -> None:
    layers = Layers(strict=False)

    try:
        detach(layers)
    except LayerMissing as missing:
        _report(writer, layers, missing)
    else:
        _fork_and_wait(lambda: _first_process(writer, layers), writer)


def _first_process(writer: int, layers: Layers) -> None:
    try:
        jail(layers)
    except LayerMissing as missing:
        _report(writer, layers, missing)
    else:
        _fork_and_wait(lambda: _worker(writer, layers), writer)


def _fork_and_wait(body: Callable[[], None], writer: int) -> None:
    pid = os.fork()
    if pid == 0:
        _ending(body)
    os.close(writer)
    os.waitpid(pid, 0)


def _worker(writer: int, layers: Layers) -> None:
    reader, unused = os.pipe()
    os.close(unused)
    found = prepare_filter(_POLICY, prepare_trap(), jit=False)
    plan = Plan(
        reader=reader,
        writer=writer,
        memory=_MEMORY,
        cpu=_CPU,
        program=found.program,
        trap=found.trap,
    )
    try:
        contain(plan, layers, lambda: None)
        self_test(layers)
    except LayerMissing as missing:
        _report(OUT_FD, layers, missing)
        return
    _report(OUT_FD, layers)


def _report(fd: int, layers: Layers, missing: LayerMissing | None = None) -> None:
    states = layers.states()
    if missing is not None:
        states.append(LayerState(missing.layer, "off", missing.reason, missing.remedy))
    os.write(fd, msgpack.encode(states))
