"""Frames that are none: lengths that lie, and frames that never end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._attack import peer
from ._frames import NULL, SOON, call, encode, result

if TYPE_CHECKING:
    from .._wire import Wire

_ENVELOPE: Final = 64 * 1024
"""What the supervisor's cap on a frame leaves beside the value in it."""
_FRAMES: Final = 1_000_000
_HALF: Final = (100).to_bytes(4, "big") + result(b"\xd9\x5a")
_PAUSE: Final = 0.02
"""Seconds between two bytes of a slow peer; the wall clock stops it at the tenth."""


@peer("P01", "a frame that says it has 4 GiB")
def largest_length(wire: Wire) -> None:
    wire.send(b"\xff\xff\xff\xff")
    wire.hang()


@peer("P01", "a frame that says it has 2 GiB, a negative number to some readers")
def negative_length(wire: Wire) -> None:
    wire.send(b"\x80\x00\x00\x00")
    wire.hang()


@peer("P01", "a frame of one byte more than the cap")
def one_over_the_cap(wire: Wire) -> None:
    assert wire.start is not None
    limits = wire.start.limits
    size = max(limits.max_request, limits.max_result) + _ENVELOPE + 1
    wire.send(size.to_bytes(4, "big"))
    wire.hang()


@peer("P01", "a frame of 4 GiB before Ready", early=True)
def largest_length_first(wire: Wire) -> None:
    wire.send(b"\xff\xff\xff\xff")
    wire.hang()


@peer("P02", "an empty frame")
def empty_frame(wire: Wire) -> None:
    wire.frame(b"")
    wire.hang()


@peer("P02", "a million frames of one byte")
def tiny_frames(wire: Wire) -> None:
    piece = b"\x00\x00\x00\x01\xc0" * 10_000
    for _ in range(_FRAMES // 10_000):
        wire.send(piece)
    wire.hang()


@peer("P02", "noise as fast as the pipe takes it")
def noise(wire: Wire) -> None:
    piece = bytes(range(256)) * 256
    while True:
        wire.send(piece)


@peer("P03", "a frame of which one byte comes now and then", verdicts=("wall_limit",), policy=SOON)
def slow_bytes(wire: Wire) -> None:
    for byte in (1_000_000).to_bytes(4, "big") + result(b"\xdb\x00\x0f\x42\x36") + b"a" * 1000:
        wire.send(bytes((byte,)))
        wire.wait(_PAUSE)


@peer("P03", "half a frame, then silence", verdicts=("wall_limit",), policy=SOON)
def half_a_frame(wire: Wire) -> None:
    wire.send(_HALF)
    wire.hang()


@peer("P03", "half a header, then silence", verdicts=("wall_limit",), policy=SOON)
def half_a_header(wire: Wire) -> None:
    wire.send(b"\x00\x00")
    wire.hang()


@peer("P03", "half a frame before Ready, then silence", verdicts=("supervisor_error",), early=True)
def half_a_frame_first(wire: Wire) -> None:
    wire.send(b"\x00\x00\x01\x00\x94")
    wire.hang()


@peer("P04", "half a result, then the exit status of success")
def half_then_exit(wire: Wire) -> None:
    wire.send(_HALF)
    wire.leave(0)


@peer("P04", "all of a result but its last byte, then the exit status of success")
def nearly_a_result(wire: Wire) -> None:
    body = encode(["result", "all is well"])
    wire.send(len(body).to_bytes(4, "big") + body[:-1])
    wire.leave(0)


@peer("P04", "half a frame, then a whole one")
def half_then_whole(wire: Wire) -> None:
    wire.send((8).to_bytes(4, "big") + b"\x92\xa6res")
    for number in range(1, 9):
        wire.message(call(number))
    wire.frame(encode(["result", NULL]))
    wire.hang()
