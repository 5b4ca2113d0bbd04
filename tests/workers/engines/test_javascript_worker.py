"""The JavaScript engine in a worker with everything on that an unjailed process can have.

Memory limits are the kernel's (RLIMIT_DATA): each is proved by the bomb that trips it. A worker is
forked from a process that has imported no more than a zygote: the limit on its address space counts
what it inherits.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from llmspell_protocol import NEED_DATA, Connection, Failure, Role, Start, WorkerLimits, pack
from llmspell_protocol.control import WorkerOptions
from llmspell_workers.containment import Layers, compile_filter, prepare_filter, prepare_trap
from llmspell_workers.engines import EngineOptions
from llmspell_workers.worker import run_worker
from tests.workers.support.host import engine_of

ROOM = 220 << 20
"""Bytes that a worker may take beside what it inherits from the process of the tests."""
HEAP = 64 << 20
PIPE = 65536
"""Bytes that a pipe holds without a reader."""


Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs a source in a worker; returns its last message."""
    with ProcessPoolExecutor(1, get_context("spawn")) as small:
        yield lambda source, *, jit=False: small.submit(_fork, source, jit=jit).result()
    # Else it stays, a child that others would count.
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def _fork(source: str, *, jit: bool) -> Any:
    engine = engine_of("javascript")
    filters = {jit: prepare_filter(engine.syscalls(jit=jit), prepare_trap(), jit=jit)}
    worker_read, host_write = os.pipe()
    host_read, worker_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(host_write)
        os.close(host_read)
        options = WorkerOptions(memory=_own_data() + ROOM, heap=HEAP, cpu_seconds=60, jit=jit)
        run_worker(engine, options, filters, Layers(strict=False), [worker_read, worker_write])
    os.close(worker_read)
    os.close(worker_write)
    try:
        return _converse(source, host_read, host_write)
    finally:
        os.close(host_write)
        os.close(host_read)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _own_data() -> int:
    """What RLIMIT_DATA counts of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData"))


def _converse(source: str, read_fd: int, write_fd: int) -> Any:
    connection = Connection(Role.HOST)
    limits = WorkerLimits(HEAP, 1 << 20, 1 << 20, 10)
    messages = []
    while data := os.read(read_fd, 65536):
        connection.receive_data(data)
        while (message := connection.next_message()) is not NEED_DATA:
            messages.append(message)
            if len(messages) == 1:
                start = Start("execute", "spell.js", source, Raw(pack({})), {}, {}, limits)
                os.write(write_fd, connection.send(start))
    return messages[-1]


def test_a_locked_worker_runs_a_spell(run: Run) -> None:
    last = run("await util.sleep(1); return [util.uuid().length, new Date(0).getFullYear()]")
    assert bytes(last.value) == pack([36, 1970])


@pytest.mark.parametrize(
    "bomb",
    [
        "const a = []; for (;;) a.push({x: 1, y: {}})",
        "const a = []; for (;;) a.push(new Uint8Array(1 << 20))",  # J06
        "return new Uint8Array(4e8).fill(1).length",  # J06
        "let s = 'é'; for (;;) { s += s; /x/.test(s) }",  # J06: a rope is made flat
        "let o; for (;;) o = {o, s: JSON.stringify('x'.repeat(1e5))}",
    ],
)
def test_a_bomb_for_the_memory_ends_in_the_engines_own_error(bomb: str, run: Run) -> None:
    last = run(bomb)
    assert isinstance(last, Failure)
    assert (last.cause, last.error.message) in (
        ("memory", "out of memory"),
        ("error", "InternalError: allocation size overflow"),
    )


def test_running_out_of_memory_can_be_caught(run: Run) -> None:
    source = """
    const kept = [];
    try { for (;;) kept.push(new Uint8Array(1 << 20)) } catch (e) { kept.length = 0; return `${e}` }
    """
    assert bytes(run(source).value) == pack("out of memory")


def test_a_promise_that_is_stuck_after_memory_ran_out_is_put_down_to_it(run: Run) -> None:
    stuck = "await new Promise(() => 0)"
    exhausting = "const a = []; try { for (;;) a.push({a}) } catch { a.length = 0 }"
    assert run(stuck).cause == "error"
    assert run(f"{exhausting} {stuck}").cause == "memory"


def test_the_jit_works_where_it_is_granted(run: Run) -> None:
    source = "let n = 0; for (let i = 0; i < 3e7; i++) n = (n + i * 3) | 0; return n"
    granted = run(source, jit=True)
    assert bytes(granted.value) == pack(_sum())


def _sum() -> int:
    total = 3 * (30_000_000 * 29_999_999 // 2)
    return (total + (1 << 31)) % (1 << 32) - (1 << 31)


def started(path: str) -> list[str]:
    """The lines of a file of /proc/self, as a worker with a started engine reads it."""
    reader, writer = os.pipe()
    engine = engine_of("javascript")
    pid = os.fork()
    if pid == 0:
        engine.start(EngineOptions(heap=HEAP))
        engine.self_test()
        os.write(writer, Path("/proc/self", path).read_bytes()[:PIPE])
        os._exit(0)
    os.close(writer)
    assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(reader) as lines:
        return lines.readlines()


def test_no_memory_is_both_writable_and_executable_without_the_jit() -> None:
    maps = started("maps")
    assert any("libmozjs" in line for line in maps)
    assert not [line for line in maps if " rwx" in line]


def test_a_crash_is_not_caught_and_shows_as_what_it_is() -> None:
    # Else its handler's system call would end the worker, and hide that memory ran out.
    caught = int(
        next(line for line in started("status") if line.startswith("SigCgt")).split()[1], 16
    )
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP):
        assert not caught & 1 << number - 1


STARTING = {"set_robust_list": 273, "rt_sigprocmask": 14}
"""Calls of a thread that first runs when the filter is on already, and their numbers."""


@pytest.mark.parametrize("name", STARTING)
def test_a_helper_thread_that_starts_late_does_not_end_the_worker(name: str) -> None:
    policy = engine_of("javascript").syscalls(jit=False)
    assert name not in policy.allowed
    assert _answer_under(compile_filter(policy), STARTING[name]) == errno.ENOSYS


def _answer_under(program: bytes, number: int) -> int:
    """The errno with which a process under the filter `program` finds a system call answered."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program)
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    pid = os.fork()
    if pid == 0:
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        libc.prctl(22, 2, filters, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        libc.syscall(number, 0, 0, 0, 0)
        os._exit(ctypes.get_errno())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
