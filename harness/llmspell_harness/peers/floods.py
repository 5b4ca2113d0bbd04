"""More of what is legal than anyone can want."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmspell_protocol import Log

from .._attack import peer
from ._frames import READY, SOON, call, encode
from .values import LEGAL_MAPS

if TYPE_CHECKING:
    from llmspell_protocol import LogLevel

    from .._wire import Wire

_PIECE: Final = 1000
"""Frames in one write."""
_UNLIMITED: Final = {"max_calls": 1_000_000}
"""So that something else has to end it."""
_LITTLE: Final = {"max_output": 256 * 1024}
"""A flood of the smallest entries takes a second of the supervisor for each megabyte."""
_FEW: Final = {"max_calls": 20}
_PIPE: Final = 65536
"""Bytes that a pipe holds (pipe(7))."""
_DEAF: Final = ("wall_limit",)
_OPEN: Final = 5
"""Calls that stay open in a worker which does not read: fewer than are granted."""
_LONG: Final = "x" * 60_000


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _log_flood(name: str, title: str, level: LogLevel, text: str, **more: Any) -> None:
    def run(wire: Wire) -> None:
        frame = _framed(encode(Log(level, text)))
        piece = frame * max(1, _PIPE // len(frame))
        while True:
            wire.send(piece)

    run.__name__ = name
    peer("P26", title, verdicts=("output_limit",), policy=_LITTLE, **more)(run)


_log_flood("empty lines", "empty lines as fast as the pipe takes them", "log", "")
_log_flood("short lines", "short lines as fast as the pipe takes them", "error", "ha")
_log_flood("long lines", "long lines as fast as the pipe takes them", "log", _LONG)
_log_flood("line breaks", "lines of nothing but line breaks", "warn", "\n" * 10_000)
_log_flood("unfinished lines", "text that never ends its line", "write", "x")
_log_flood("debug lines", "lines that nobody sees", "debug", "x" * 100)
_log_flood("escaped characters", "characters that are four times as long when shown", "log",
           "\x1b" * 30_000)  # fmt: skip


@peer("P14", "a hundred thousand calls at once", policy=_UNLIMITED)
def calls_at_once(wire: Wire) -> None:
    _calls(wire, 100_000)
    wire.hang()


@peer("P15", "calls that are refused, again and again", verdicts=("call_limit",))
def refused_calls(wire: Wire) -> None:
    number = 0
    while True:
        number += 1
        wire.message(call(number, "file.read"))
        wire.answer()


@peer("P15", "calls with arguments that are refused, again and again", verdicts=("call_limit",))
def bad_arguments(wire: Wire) -> None:
    number = 0
    while True:
        number += 1
        wire.frame(encode(["call", number, "llm.complete", [{"prompt": 1}, 2, 3], 0]))
        wire.answer()


@peer("P16", "calls whose answers are never read", policy=_UNLIMITED)
def never_read(wire: Wire) -> None:
    for number in range(1, 5_000):
        wire.message(call(number, f"file.{'x' * 59}"))
        if not number % _OPEN:
            wire.wait(0.002)
    wire.hang()


@peer(
    "P16",
    "large requests, and no answer read",
    # Whatever comes first on a machine of its speed.
    verdicts=("call_limit", "protocol_violation"),
    policy=_FEW,
)
def large_and_never_read(wire: Wire) -> None:
    text = "x" * 1_000_000
    number = 0
    while True:
        number += 1
        wire.frame(encode(["call", number, "file.write", [text], 0]))
        wire.wait(0.001)


def _calls(wire: Wire, count: int) -> None:
    for first in range(1, count, _PIECE):
        numbers = range(first, first + _PIECE)
        wire.send(b"".join(_framed(encode(call(n, "file.read"))) for n in numbers))


@peer("P29", "calls of ever new names", verdicts=("call_limit",), policy={"max_calls": 1_000})
def new_names(wire: Wire) -> None:
    number = 0
    while True:
        number += 1
        wire.message(call(number, f"label{number:x}.{'x' * 40}"))
        wire.answer()


@peer("P02", "calls as heavy as may be, as fast as they are refused", verdicts=("call_limit",))
def large_calls(wire: Wire) -> None:
    arguments: list[Any] = [{}] * LEGAL_MAPS
    number = 0
    while True:
        number += 1
        wire.frame(encode(["call", number, "file.write", [arguments], 0]))
        wire.answer()


@peer("P16", "four calls with large answers, and not one of them read", verdicts=_DEAF, policy=SOON)
def deaf(wire: Wire) -> None:
    for number in range(1, 5):
        wire.message(call(number, "large.text"))
    wire.wait(60)


@peer("P16", "Ready, and not even Start read", verdicts=_DEAF, policy=SOON, early=True)
def deaf_from_the_start(wire: Wire) -> None:
    wire.message(READY)
    wire.wait(60)


@peer("P03", "one call, then silence with the answer unread", verdicts=("wall_limit",), policy=SOON)
def silence(wire: Wire) -> None:
    wire.message(call(1))
    wire.wait(60)
