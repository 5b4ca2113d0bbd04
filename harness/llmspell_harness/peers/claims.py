"""Lies about what a worker did, and ends that look like others."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING, Any, Final

from llmspell_protocol import ErrorInfo, Failure, Log
from llmspell_workers.containment import IN_FD, OUT_FD

from .._attack import peer
from ._frames import NULL, SOON, encode

if TYPE_CHECKING:
    from .._wire import Wire

_CRASH: Final = ("engine_crash",)
_SAYS: Final = ("protocol_violation",)


@peer("P17", "its own reading end, closed", verdicts=_CRASH)
def close_read_end(wire: Wire) -> None:
    os.close(IN_FD)
    wire.hang()


@peer("P17", "its own writing end, closed", verdicts=_CRASH)
def close_write_end(wire: Wire) -> None:
    os.close(OUT_FD)
    wire.wait(60)


@peer("P17", "both its ends, closed", verdicts=_CRASH)
def close_both_ends(wire: Wire) -> None:
    os.close(IN_FD)
    os.close(OUT_FD)
    wire.wait(60)


@peer("P17", "the pipe, opened again through /proc", verdicts=_CRASH)
def open_again(wire: Wire) -> None:
    os.open(f"/proc/self/fd/{IN_FD}", os.O_RDWR)
    wire.frame(encode(["result", NULL]))


@peer(
    "P18",
    "processor time used while it is said that none is",
    verdicts=("cpu_limit",),
    policy={"cpu": 0.2},
)
def busy(wire: Wire) -> None:
    wire.message(Log("info", '{"cpu": 0.0, "wall": 0.0}'))
    while True:
        pass


@peer("P18", "a failure that says it is the wall's", verdicts=("script_error",))
def claims_timeout(wire: Wire) -> None:
    error = ErrorInfo("Timeout", "the spell did not end within 0 s", duration=0.0)
    wire.message(Failure("error", error))
    wire.hang()


@peer("P18", "an error of the host's kind that the host never sent", verdicts=("script_error",))
def claims_denial(wire: Wire) -> None:
    wire.message(Failure("error", ErrorInfo("Policy", "llm.complete is not granted")))
    wire.hang()


@peer("P18", "the word of an engine that ran out of memory", verdicts=("memory_limit",))
def claims_memory(wire: Wire) -> None:
    wire.message(Failure("memory", ErrorInfo("Script", "out of memory")))
    wire.hang()


for _fd in (0, 1, 2):

    def _second(wire: Wire, fd: int = _fd) -> None:
        os.write(fd, b"forged\n")
        wire.frame(encode(["result", NULL]))

    _second.__name__ = f"descriptor_{_fd}"
    peer("P24", f"descriptor {_fd} as a way out beside the pipe", verdicts=_CRASH)(_second)


@peer("P24", "a message of libc's to its standard error", verdicts=_CRASH)
def libc_message(wire: Wire) -> None:
    _perror(b"forged")
    os.write(2, b"forged\n")
    wire.frame(encode(["result", NULL]))


def _exit(name: str, title: str, status: int, **more: Any) -> None:
    def run(wire: Wire) -> None:
        wire.leave(status)

    run.__name__ = name
    peer("P25", title, **more)(run)


_exit("exit as if well", "the exit status of success without a result", 0)
_exit("exit as a failure", "the exit status of a failure", 1)
_exit("exit as a verdict", "the exit status that stands for a verdict", 20)
_exit("exit as killed", "the exit status by which a shell names SIGKILL", 128 + signal.SIGKILL)
_exit("exit as out of time", "the exit status by which a shell names SIGXCPU", 128 + signal.SIGXCPU)


@peer("P25", "SIGKILL sent to itself, as if for want of memory", verdicts=_CRASH)
def kill_itself(wire: Wire) -> None:
    signal.raise_signal(signal.SIGKILL)
    wire.leave(0)


@peer("P25", "SIGXCPU sent to itself, as if out of processor time", verdicts=_CRASH)
def out_of_time(wire: Wire) -> None:
    signal.raise_signal(signal.SIGXCPU)
    wire.leave(0)


@peer("P25", "a write to address 0", verdicts=_CRASH)
def segfault(wire: Wire) -> None:
    ctypes.memset(0, 0, 1)
    wire.leave(0)


@peer("P25", "the end of its pipe, and life after it", verdicts=("wall_limit",), policy=SOON)
def lives_on(wire: Wire) -> None:
    wire.wait(60)


_perror: Final = ctypes.CDLL(None).perror
