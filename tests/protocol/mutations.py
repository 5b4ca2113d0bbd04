"""What the random fuzzer does to a lawful frame."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from tests.protocol.conversations import BODIES

T = TypeVar("T")

FIRST_BYTES: Final = bytes([*range(0x7E, 0xA2), *range(0xC0, 0xE1), 0xFF, 0x00])
COUNTS: Final = (
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xde\xff\xff",
    b"\xdb\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\xcf\xff" + bytes(7), b"\x91" * 80,
)  # fmt: skip


def below(rng: random.Random, end: int) -> int:
    """A number under `end`. As even as a fuzzer needs, in a fifth of the time of `randrange`."""
    return int(rng.random() * end)


def one_of(rng: random.Random, options: Sequence[T]) -> T:
    return options[int(rng.random() * len(options))]


def flip(body: bytearray, rng: random.Random) -> None:
    body[below(rng, len(body))] ^= 1 << below(rng, 8)


def retype(body: bytearray, rng: random.Random) -> None:
    body[below(rng, len(body))] = one_of(rng, FIRST_BYTES)


def count(body: bytearray, rng: random.Random) -> None:
    at = below(rng, len(body))
    body[at : at + below(rng, 3)] = one_of(rng, COUNTS)


def cut(body: bytearray, rng: random.Random) -> None:
    del body[below(rng, len(body)) :]


def lose(body: bytearray, rng: random.Random) -> None:
    at = below(rng, len(body))
    del body[at : at + 1 + below(rng, 4)]


def repeat(body: bytearray, rng: random.Random) -> None:
    at = below(rng, len(body))
    body[at:at] = body[at : at + 1 + below(rng, 8)]


def splice(body: bytearray, rng: random.Random) -> None:
    other = one_of(rng, one_of(rng, BODIES))
    body[below(rng, len(body)) :] = other[below(rng, len(other)) :]


def number(body: bytearray, rng: random.Random) -> None:
    """Another identifier, where most messages have theirs: after the tag."""
    at = 2 + (body[1] & 0x1F) if len(body) > 1 else 0
    body[at : at + 1] = one_of(rng, (b"\x00", b"\x02", b"\x07", b"\xff", b"\xcc\x01", b"\xc0"))


MUTATIONS: Final[list[Callable[[bytearray, random.Random], None]]] = [
    flip, retype, count, cut, lose, repeat, splice, number,
]  # fmt: skip
