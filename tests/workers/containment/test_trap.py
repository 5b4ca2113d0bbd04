"""A forbidden system call kills, and the verdict names it: real runs of hostile native code."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_protocol import NEED_DATA, Connection, Role, Trap
from llmspell_protocol.syscalls import NUMBERS
from llmspell_supervisor import Policy, RunReport, Spell, Supervisor
from llmspell_supervisor import _launch as launch
from llmspell_supervisor._zygotes import Zygote
from llmspell_workers.containment import (
    OUT_FD,
    TrapHandler,
    compile_filter,
    prepare_filter,
    prepare_trap,
)
from llmspell_workers.containment import _trap as trap
from tests.workers.containment.jailed import (
    ORDINARY,
    POLICY,
    SIGSYS_DEATH,
    Spawn,
    handler,
    raw,
    spawned,
)

SUPPORT = Path(__file__).parents[2] / "support"
ENGINES = ("lua", "javascript")
WHERE = {"main thread": "{call}", "another thread": "in_thread(lambda: {call})"}

CALLS = {
    "socket": ("raw(41, 2, 1, 0)", "call", "call"),
    "open": ("raw(2, b'/etc/passwd', 0)", "call", "call"),
    "execve": ("raw(59, b'/bin/sh', 0, 0)", "call", "call"),
    "fork": ("raw(57)", "call", "call"),
    "clone": ("raw(56, 17, 0, 0, 0, 0)", "call", "call"),
    "clone3": ("raw(435, 0, 0)", "call", "call"),
    "ptrace": ("raw(101, 16, 1, 0, 0)", "call", "call"),
    "kill": ("raw(62, 1, 9)", "call", "call"),
    "tgkill": ("raw(234, 1, 1, 9)", "call", "call"),
    "rt_sigaction": ("raw(13, 31, 0, 0, 8)", "call", "call"),
    "rt_sigprocmask": ("raw(14, 0, 0, 0, 8)", "call", None),
    "sigaltstack": ("raw(131, 0, 0)", "call", "call"),
    "openat": ("raw(257, -100, b'/etc/passwd', 0)", "call", None),
    "mmap": ("raw(9, 0, 4096, 7, 0x22, -1, 0)", "arguments", "arguments"),
    "mprotect": ("raw(10, address, 4096, 7)", "arguments", "arguments"),
    "mremap": ("raw(25, 0, 4096, 4096, 3, 0x10000)", "arguments", "arguments"),
    "madvise": ("raw(28, 0, 4096, 25)", "arguments", "arguments"),
    "futex": ("raw(202, 0, 1, 0, 0, 0, 0)", "arguments", "arguments"),
    "prctl": ("raw(157, 4, 1, 0, 0, 0)", "call", "arguments"),
    "clock_gettime": ("raw(228, ~1 << 3 | 2, 0)", "arguments", "arguments"),
    "clock_nanosleep": ("raw(230, 2, 0, 0, 0)", "arguments", "arguments"),
    "bpf": ("raw(321, 0, 0, 0)", "call", "call"),
}
"""What is tried, and what is refused in Lua's worker and in JavaScript's; None: an errno answers."""


class NativeZygote(Zygote):
    """Runs `tests/support/native_zygote.py`."""

    def _spawn(self) -> launch.Launched:
        return launch.spawn("native_zygote", self.engine, "strict" if self._strict else "degraded")


class NativeSupervisor(Supervisor):
    """Its spells are native code."""

    def _new_zygote(self, engine: str, *, strict: bool) -> Zygote:
        return NativeZygote(engine, self._cgroups, strict=strict)


@pytest.fixture(autouse=True)
def _native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUPPORT))


def run(source: str, engine: str = "lua", policy: Policy | None = None) -> RunReport:
    async def once() -> RunReport:
        async with NativeSupervisor() as supervisor:
            spell = Spell.from_text(source, engine, "native")
            return await supervisor.run(spell, policy=policy)

    return asyncio.run(once())


def runs(sources: list[str], engine: str) -> list[RunReport]:
    """Several runs by one supervisor, one after the other."""

    async def all_of_them() -> list[RunReport]:
        async with NativeSupervisor() as supervisor:
            return [
                await supervisor.run(Spell.from_text(source, engine, "native"))
                for source in sources
            ]

    return asyncio.run(all_of_them())


def named(report: RunReport) -> str | None:
    """The call that an engine crash was put down to, and what was wrong with it."""
    assert report.verdict == "engine_crash", report.problem
    assert report.problem is not None
    call = report.problem.system_call
    assert (call is None) == ("(system call " not in report.problem.message)
    return f"{call.name} {call.refused}" if call else None


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_forbidden_call_kills_and_the_verdict_names_it(engine: str, where: str) -> None:
    at = 1 + ENGINES.index(engine)
    tried = {name: row for name, row in CALLS.items() if row[at]}
    reports = runs([WHERE[where].format(call=row[0]) for row in tried.values()], engine)
    for report, (name, row) in zip(reports, tried.items(), strict=True):
        assert named(report) == f"{name} {row[at]}"
        assert report.problem is not None
        assert f"{name} (system call {NUMBERS[name]})" in report.problem.message


def test_a_call_that_is_answered_with_an_error_kills_nobody() -> None:
    calls = [row[0] for row in CALLS.values() if row[2] is None]
    report = run(f"result = [{', '.join(calls)}]", "javascript")
    assert report.verdict == "ok", report.problem
    assert report.value == [-38, -2]


def test_a_number_that_nobody_knows_is_told_as_a_number() -> None:
    report = run("raw(4000)")
    assert named(report) == "None call"
    assert report.problem is not None
    assert "unknown (system call 4000)" in report.problem.message


@pytest.mark.parametrize("call", ["raw(425, 1, 0)", "raw(426)", "raw(427)", "raw(0x40000000 | 41)"])
def test_io_uring_and_x32_kill_without_the_handler(call: str) -> None:
    assert named(run(call)) is None


FORGED = "os.write(4, bytes.fromhex('{frame}'))\n"
SOCKET = msgspec.msgpack.encode(Trap(41, listed=False))
NOTE = FORGED.format(frame=(struct.pack(">I", len(SOCKET)) + SOCKET).hex())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "end", ["os._exit(0)", "os._exit(31)", "result = 1", "ctypes.string_at(8)"]
)
def test_a_note_that_the_kernel_does_not_confirm_is_a_violation(engine: str, end: str) -> None:
    report = run(NOTE + end, engine)
    assert report.verdict == "protocol_violation"
    assert report.problem is not None
    assert "it was not" in report.problem.message


def test_the_call_is_the_word_of_the_worker_but_that_there_was_one_is_not() -> None:
    assert named(run(NOTE + "raw(0x40000000)")) == "socket call"


def test_the_handler_cannot_be_taken_away_or_replaced() -> None:
    attempts = {
        "munmap": "raw(11, address, 4096)",
        "mmap": "raw(9, address, 4096, 3, 0x32, -1, 0)",
        "mremap": "raw(25, address, 4096, 8192, 1)",
        "mprotect": "raw(10, address, 4096, 3)",
        "madvise": "raw(28, address, 4096, 4)",
    }
    source = f"assert address\nresult = [{', '.join(attempts.values())}]"
    report = run(source)
    # EPERM: mseal(2); ENOMEM: the filter, for what would change a mapping.
    assert set(report.value) <= {-1, -12}, report.problem
    assert named(run(f"{source}\nraw(41)")) == "socket call"


def test_a_jit_takes_nothing_from_it() -> None:
    source = """
    raw(9, address, 4096, 7, 0x32, -1, 0)
    code = raw(9, 0, 4096, 7, 0x22, -1, 0)
    assert code > 0
    raw(41)
    """
    source = "\n".join(line.strip() for line in source.splitlines())
    assert named(run(source, "javascript", Policy(jit=True))) == "socket call"


def test_two_threads_that_are_stopped_at_once_die_of_it() -> None:
    for report in runs(["begin(lambda: raw(41))\nraw(2, b'/', 0)"] * 5, "lua"):
        assert named(report) in ("socket call", "open call", None)


def test_a_call_in_the_middle_of_a_frame_is_told_from_a_broken_frame() -> None:
    source = """
big = bytes.fromhex("0010000092a6726573756c74db000ffff3") + b"x" * 0xffff3
os.write(4, big[:100000])
in_thread(lambda: raw(41))
"""
    assert named(run(source)) is None


# --- the handler taken away, on kernels that cannot seal it --------------------------------------

OPEN = NUMBERS["open"]
ROOT = pytest.mark.root


def _ended(attack: Callable[[], int], **options: Any) -> tuple[int, bytes]:
    """How a worker ended, and its last words."""
    with spawned(Spawn(attack=attack, **{"trap": "unsealed", **options})) as worker:
        assert worker.run() is None
        return worker.end(), worker.last_words


def _unmap() -> int:
    raw(NUMBERS["munmap"], handler(), 4096)
    return raw(OPEN, 0, 0)


def _write_over() -> int:
    raw(NUMBERS["mmap"], handler(), 4096, 3, 0x32, -1, 0)
    ctypes.memset(handler(), 0xC3, 4096)
    return raw(OPEN, 0, 0)


def _make_writable() -> int:
    raw(NUMBERS["mprotect"], handler(), 4096, 3)
    return raw(OPEN, 0, 0)


@ROOT
def test_a_worker_that_writes_over_its_handler_dies_of_the_fault() -> None:
    assert _ended(_write_over) == (-signal.SIGSEGV, b"")


@ROOT
@pytest.mark.parametrize("attack", [_unmap, _make_writable])
def test_the_filter_alone_keeps_the_handler_where_it_is(attack: Callable[[], int]) -> None:
    status, words = _ended(attack)
    assert (status, len(words)) == (SIGSYS_DEATH, len(trap.FRAME))


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGSYS})


def _ignore() -> None:
    ctypes.CDLL(None).signal(signal.SIGSYS, ctypes.c_void_p(1))


def _open_a_file() -> int:
    return raw(OPEN, 0, 0)


@ROOT
def test_a_worker_that_blocks_the_signal_dies_of_it_unnamed() -> None:
    assert _ended(_open_a_file, engine=_block) == (SIGSYS_DEATH, b"")


@ROOT
@pytest.mark.parametrize("before", [_ignore, lambda: signal.signal(signal.SIGSYS, print)])
def test_what_an_engine_does_with_the_signal_is_undone(before: Callable[[], object]) -> None:
    status, words = _ended(_open_a_file, engine=before)
    assert (status, len(words)) == (SIGSYS_DEATH, len(trap.FRAME))


@ROOT
def test_traps_that_lead_nowhere_kill() -> None:
    """As where the handler is missing: the signal's default is death."""
    status, words = _ended(_open_a_file, options={"trap": None})
    assert (status, words) == (SIGSYS_DEATH, b"")


@ROOT
def test_an_ordinary_user_s_worker_names_the_call_too() -> None:
    status, words = _ended(_open_a_file, user=ORDINARY, trap="sealed")
    assert (status, words) == (SIGSYS_DEATH, trap.FRAME[:14] + bytes([OPEN]) + trap.FRAME[15:])


def test_a_host_that_lets_no_written_page_be_executed_has_no_handler() -> None:
    pid = os.fork()
    if pid == 0:
        refuse_exec_gain = 1
        ctypes.CDLL(None).prctl(65, refuse_exec_gain, 0, 0, 0)  # PR_SET_MDWE
        os._exit(0 if prepare_trap() is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@ROOT
def test_the_report_says_whether_a_call_would_be_named() -> None:
    for kind, words in (
        ("none", "a forbidden call is not named"),
        ("unsealed", "a forbidden call is named, by an unsealed handler"),
        ("sealed", "a forbidden call is named, by a sealed handler"),
    ):
        with spawned(Spawn(trap=kind)) as worker:  # type: ignore[arg-type]
            assert worker.report["seccomp"].endswith(words)
            assert worker.run() == 0


@ROOT
def test_last_words_wait_for_room_in_the_pipe_and_arrive_whole() -> None:
    size = 65536

    def attack() -> int:
        os.write(OUT_FD, bytes(size))
        return raw(OPEN, 0, 0)

    with spawned(Spawn(attack=attack, trap="sealed")) as worker:
        worker.go()
        heard = b""
        while part := os.read(worker.answers, 1 << 20):
            heard += part
        assert worker.end() == SIGSYS_DEATH
    assert len(heard) == size + len(trap.FRAME)
    assert heard[size:].startswith(trap.FRAME[:11])


# --- the handler's own bytes ---------------------------------------------------------------------


def test_the_frame_is_the_one_of_the_protocol() -> None:
    host = Connection(Role.HOST)
    host.receive_data(trap.FRAME)
    assert host.next_message() == Trap(0, listed=False)
    assert host.next_message() is NEED_DATA


def test_the_handler_is_a_few_dozen_bytes_with_a_reason_each() -> None:
    code = b"".join(instruction for instruction, _, _ in trap.CODE)
    assert len(code) < 96
    assert all(assembly for _, assembly, _ in trap.CODE)
    assert code.endswith(b"\x0f\x0b")  # it does not return
    assert not re.search(rb"[\xc3\xcb\xc2\xca](?![\x00])", code)  # and holds no ret to jump to


def test_without_a_handler_that_stays_a_jit_s_filter_kills_by_itself() -> None:
    loose = TrapHandler(4096, sealed=False)
    for mapped, jit, wanted in (
        (loose, True, None),
        (loose, False, loose),
        (TrapHandler(4096, sealed=True), True, TrapHandler(4096, sealed=True)),
        (None, False, None),
    ):
        found = prepare_filter(POLICY, mapped, jit=jit)
        assert found.trap == wanted
        assert found.program == compile_filter(POLICY, trap=wanted is not None)
