"""Real zygotes and workers, forked from the test process, with a function in place of a script."""

from __future__ import annotations

import ctypes
import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from llmspell_workers.containment import (
    IN_FD,
    OUT_FD,
    LayerMissing,
    Layers,
    Plan,
    SyscallPolicy,
    compile_filter,
    contain,
    detach,
    futex,
    jail,
    plain,
    prepare_trap,
    private_memory,
    read_only_from,
    self_test,
    write_only_to,
)
from llmspell_workers.containment._trap import FRAME

ORDINARY = 12345
"""Some user without rights, for tests that start as root."""
MEMORY = 512 << 20
"""More than a test process holds, so that only bombs meet it."""
SIGSYS_DEATH = -31
"""`os.waitstatus_to_exitcode` of a worker that the filter killed."""
POLICY = SyscallPolicy(
    (
        *read_only_from(),
        *write_only_to(),
        *private_memory(),
        *futex(),
        *plain(
            exit_group="end",
            getrandom="hash seeds",
            clock_nanosleep="sleep",
        ),
    ),
    most=16,
)
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_PR_SET_DUMPABLE = 4


_trap_at: list[int] = []


def handler() -> int:
    """The address of the handler of SIGSYS; for an attack."""
    return _trap_at[-1]


def raw(number: int, *arguments: Any) -> int:
    """One raw system call: its result, or its errno as a negative number."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    return -ctypes.get_errno() if result < 0 else result


def _nothing() -> int:
    return 0


@dataclass(frozen=True, kw_only=True)
class Spawn:
    """How to start a worker; see `Plan` and `Layers`."""

    user: int = 0
    skip: frozenset[str] = frozenset()
    strict: bool = True
    policy: SyscallPolicy = POLICY
    options: dict[str, Any] = field(default_factory=dict)
    in_host: Callable[[], object] = _nothing
    """Runs before anything is left behind."""
    in_jail: Callable[[], object] = _nothing
    """Runs in the jailed zygote."""
    engine: Callable[[], object] = _nothing
    """Runs where an engine starts."""
    attack: Callable[[], int] = _nothing
    """Runs in the locked worker; its result travels."""
    pipes: Callable[[], tuple[int, int]] = os.pipe
    trap: Literal["none", "sealed", "unsealed"] = "none"
    """The handler that names a forbidden call: none, as it is, or as older kernels leave it."""


@dataclass
class Worker:
    """One worker as the host sees it."""

    report: dict[str, str]
    """The layers, or `missing` and `text` of the one that ended it; its name may be empty."""
    pid: int
    """In the host's numbering; 0 if it did not get ready."""
    outer: int
    """The process that stands for what a supervisor spawns."""
    _go: int
    answers: int
    """The read end of the worker's pipe."""
    _statuses: int
    last_words: bytes = b""
    """What a worker wrote that was killed: nothing, or the frame of a trap."""

    def run(self) -> int | None:
        """Let the attack go: what it returned, or None if it was killed."""
        self.go()
        answer = os.read(self.answers, 8 + len(FRAME))
        if len(answer) == 8:
            return int(struct.unpack("q", answer)[0])
        self.last_words = answer
        return None

    def go(self) -> None:
        """Let the attack go, and do not wait for it."""
        os.write(self._go, b"g")

    def end(self) -> int:
        """The exit code, or the signal as a negative number. Let it go first."""
        return os.waitstatus_to_exitcode(struct.unpack("i", os.read(self._statuses, 4))[0])

    def fact(self, name: str) -> str:
        """One line of the worker's /proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(v.strip() for k, _, v in (li.partition(":") for li in lines) if k == name)


@contextmanager
def spawned(spawn: Spawn) -> Iterator[Worker]:
    """A worker that has said what holds it and waits for `run`."""
    reader, go = spawn.pipes()
    answers, writer = spawn.pipes()
    statuses, status = os.pipe()
    outer = os.fork()
    if outer == 0:
        _guarded(lambda: _outer(spawn, reader, writer, status, (go, answers, statuses)))
    for fd in (reader, writer, status):
        os.close(fd)
    try:
        size = os.read(answers, 4)
        report = json.loads(os.read(answers, struct.unpack("I", size)[0])) if size else {}
        pid = _child(_child(outer)) if report and "missing" not in report else 0
        yield Worker(report, pid, outer, go, answers, statuses)
    finally:
        for fd in (go, answers, statuses):
            os.close(fd)
        os.waitpid(outer, 0)


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _guarded(body: Callable[[], None]) -> NoReturn:
    """A fork must never run the rest of the suite, whatever happens in it."""
    code = 97
    try:
        body()
        code = 0
    except BaseException as error:  # noqa: BLE001
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(code)


def _outer(spawn: Spawn, reader: int, writer: int, status: int, ours: tuple[int, ...]) -> None:
    for fd in ours:
        os.close(fd)
    if spawn.user and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(spawn.user, spawn.user, spawn.user)
        os.setresuid(spawn.user, spawn.user, spawn.user)
        _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # as exec leaves an ordinary process
    spawn.in_host()
    layers = Layers(strict=spawn.strict, skip=spawn.skip)
    try:
        detach(layers)
    except Exception as error:  # noqa: BLE001 - told, as the real zygote does
        _say(writer, _refusal(error))
        return
    first = os.fork()
    if first == 0:
        _guarded(lambda: _first_process(spawn, layers, reader, writer, status))
    os.close(writer)
    os.close(status)
    os.waitpid(first, 0)


def _first_process(spawn: Spawn, layers: Layers, reader: int, writer: int, status: int) -> None:
    program = compile_filter(spawn.policy, trap=spawn.trap != "none")
    trap = prepare_trap() if spawn.trap == "sealed" else None
    try:
        jail(layers)
    except Exception as error:  # noqa: BLE001
        _say(writer, _refusal(error))
        return
    spawn.in_jail()
    if spawn.trap == "unsealed":
        trap = prepare_trap()  # here the zygote's filter refuses mseal(2)
        assert trap
        assert not trap.sealed
    _trap_at.append(trap.address if trap else 0)
    options = {"memory": MEMORY, "cpu": 10, "program": program, "trap": trap, **spawn.options}
    worker = os.fork()
    if worker == 0:
        _guarded(lambda: _worker(spawn, layers, Plan(reader=reader, writer=writer, **options)))
    os.close(writer)
    os.close(reader)
    os.write(status, struct.pack("i", os.waitpid(worker, 0)[1]))


def _worker(spawn: Spawn, layers: Layers, plan: Plan) -> None:
    spare = os.dup(plan.writer)
    try:
        contain(plan, layers, spawn.engine)
        self_test(layers)
    except Exception as error:  # noqa: BLE001
        # Before the descriptors were closed there is the spare one, afterwards the proper one.
        out = OUT_FD if layers.has("fds") or not _is_open(spare) else spare
        _say(out, _refusal(error))
        return
    _say(OUT_FD, layers.as_dict())
    os.read(IN_FD, 1)
    os.write(OUT_FD, struct.pack("q", spawn.attack()))


def _refusal(error: Exception) -> dict[str, str]:
    """Why there is no worker; a layer's name, or none for what no layer has foreseen."""
    return {
        "missing": error.layer if isinstance(error, LayerMissing) else "",
        "text": str(error),
    }


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _say(fd: int, report: dict[str, str]) -> None:
    data = json.dumps(report).encode()
    os.write(fd, struct.pack("I", len(data)) + data)
