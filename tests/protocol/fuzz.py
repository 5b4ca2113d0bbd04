"""Fuzzes the host's end of the wire: `python tests/protocol/fuzz.py --frames 1000000 --seed 1`.

Invariant: any bytes either parse or raise `RemoteProtocolError`, whole, byte by byte, or split at
random, with the same outcome.

Valid conversations of a worker are mutated: bits and bytes, types, counts and lengths, frames cut,
spliced, repeated, swapped, dropped, and the host's own messages among them. The host answers as it
reads, so that calls, streams and invocations are open. A failure prints the seed that repeats it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from llmspell_protocol import (
    NEED_DATA,
    PROTOCOL_VERSION,
    Call,
    Caps,
    Chunk,
    Close,
    Connection,
    Credit,
    ErrorInfo,
    Failure,
    Fault,
    HostMessage,
    Invoke,
    LocalProtocolError,
    Log,
    Raise,
    Ready,
    RemoteProtocolError,
    Reply,
    Result,
    Return,
    Role,
    Start,
    State,
    Trap,
    WorkerLimits,
    WorkerMessage,
    pack,
)

CAPS: Final = Caps(worker_frame=4096, host_frame=4096, in_flight=3, credit=4)
"""Small, so that mutations reach them."""

encode: Final = msgspec.msgpack.Encoder().encode


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(pack(value))  # type: ignore[arg-type]


ERROR: Final = ErrorInfo("Script", "boom", retryable=False, retry_after=0.5, field="x")
START: Final = Start("execute", "x", "", raw({}), {}, {}, WorkerLimits(1, 1, 1, 3))
NULL: Final = raw(None)
VALUE: Final = raw(
    {"a": [1, -1, 2.5, None, True], "text": "naïve", "b": b"\x00\xff", "m": {"k": {}}}
)

CONVERSATIONS: Final[list[list[WorkerMessage]]] = [
    [
        Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {"seccomp": "on", "landlock": "on"}),
        Call(1, "llm.complete", raw([{"prompt": "hello", "stop": ["a", "b"], "n": 300}])),
        Log("info", "between"),
        Call(2, "llm.embed", raw(["x", 70000, -40000, 1.5])),
        Return(1, VALUE),
        Call(3, "a.b.c", raw([])),
        Result(VALUE),
    ],
    [
        Ready(PROTOCOL_VERSION, "javascript", "SpiderMonkey", {}),
        Call(1, "llm.stream", raw([[1, 2, 3]]), 2),
        Credit(1, 1),
        Credit(1, 1),
        Close(1),
        Call(2, "llm.stream", raw([[1, 2, 3]]), 4),
        Credit(2, 2),
        Raise(1, ERROR),
        Failure("error", ERROR, 3, 7, "x:3"),
    ],
    [
        Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {}),
        *(Log("debug", "line " * n) for n in range(3)),
        *(Call(n, "util.now", raw([])) for n in range(1, 7)),
        Result(raw([[[[{"deep": [{}]}]]]])),
    ],
    [
        Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {}),
        Call(1, "llm.complete", raw(["x"])),
        Trap(9, True),
    ],
]
"""Legal against a host that answers as `answers` does."""

BODIES: Final = [[encode(m) for m in messages] for messages in CONVERSATIONS]
FOREIGN: Final = [encode(m) for m in (START, Reply(1, NULL), Fault(1, ERROR), Chunk(1, NULL))]
"""What only the host may say."""

FIRST_BYTES: Final = bytes([*range(0x7E, 0xA2), *range(0xC0, 0xE1), 0xFF, 0x00])
COUNTS: Final = (
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xde\xff\xff",
    b"\xdb\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\xcf\xff" + bytes(7), b"\x91" * 80,
)  # fmt: skip


# --- mutations of one body -----------------------------------------------------------------------


def flip(body: bytearray, rng: random.Random) -> None:
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def retype(body: bytearray, rng: random.Random) -> None:
    body[rng.randrange(len(body))] = rng.choice(FIRST_BYTES)


def count(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    body[at : at + rng.randrange(3)] = rng.choice(COUNTS)


def cut(body: bytearray, rng: random.Random) -> None:
    del body[rng.randrange(len(body)) :]


def lose(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    del body[at : at + rng.randrange(1, 5)]


def repeat(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    body[at:at] = body[at : at + rng.randrange(1, 9)]


def splice(body: bytearray, rng: random.Random) -> None:
    other = rng.choice(rng.choice(BODIES))
    body[rng.randrange(len(body)) :] = other[rng.randrange(len(other)) :]


def number(body: bytearray, rng: random.Random) -> None:
    """Another identifier, where most messages have theirs: after the tag."""
    at = 2 + (body[1] & 0x1F) if len(body) > 1 else 0
    body[at : at + 1] = rng.choice((b"\x00", b"\x02", b"\x07", b"\xff", b"\xcc\x01", b"\xc0"))


MUTATIONS: Final[list[Callable[[bytearray, random.Random], None]]] = [
    flip, retype, count, cut, lose, repeat, splice, number,
]  # fmt: skip


# --- mutations of the stream ---------------------------------------------------------------------


def mutated(rng: random.Random) -> tuple[bytes, int]:
    """The bytes of one conversation, and how many of its frames were mutated."""
    bodies = list(rng.choice(BODIES))
    changed = shuffled(bodies, rng) if rng.random() < 0.3 else 0
    stream = bytearray()
    for body in bodies:
        data = body
        if rng.random() < 0.25:
            changed += 1
            copy = bytearray(body)
            for _ in range(rng.choice((1, 1, 2))):
                if copy:
                    rng.choice(MUTATIONS)(copy, rng)
            data = bytes(copy)
        length = len(data)
        if rng.random() < 0.01:
            changed += 1
            length = rng.choice((0, 1, length + 1, length - 1, 4097, 1 << 31, (1 << 32) - 1))
        stream += max(length, 0).to_bytes(4, "big") + data
    if rng.random() < 0.05:
        changed += 1
        del stream[rng.randrange(len(stream)) :]
    return bytes(stream), changed


def shuffled(bodies: list[bytes], rng: random.Random) -> int:
    """Repeat, swap, drop or insert a frame; how many are then out of place."""
    at, other = rng.randrange(len(bodies)), rng.randrange(len(bodies))
    match rng.randrange(5):
        case 0:
            bodies.insert(other, bodies[at])
        case 1:
            bodies[at], bodies[other] = bodies[other], bodies[at]
            return 2
        case 2:
            del bodies[at]
        case 3:
            bodies.insert(at, rng.choice(FOREIGN))
        case 4:
            bodies.insert(at, rng.choice(rng.choice(BODIES)))
    return 1


# --- the host under test -------------------------------------------------------------------------


def answers(message: object) -> Iterator[HostMessage]:
    """What the host says to a message: enough to open every state of the ledger."""
    match message:
        case Ready():
            yield START
        case Call(id=number, credit=0):
            if number == 1:
                yield Invoke(1, 1, raw([]))
            yield Reply(number, NULL)
        case Call(id=number):
            if number == 2:
                yield Invoke(1, 1, raw([]))
            yield Chunk(number, NULL)
            yield Chunk(number, NULL)
        case Credit(id=number):
            yield Chunk(number, NULL)
        case Close(id=number):
            yield Fault(number, ERROR)


Outcome = tuple[list[bytes], str, State]


class Host:
    """A host that reads, answers, and keeps the outcome."""

    def __init__(self) -> None:
        self.connection = Connection(Role.HOST, CAPS)
        self.heard: list[bytes] = []
        self.error = ""

    def feed(self, data: bytes) -> None:
        """Raises whatever is not a `RemoteProtocolError`."""
        if not self.error:
            self.connection.receive_data(data)
            self._drain()

    def end(self) -> Outcome:
        """Raises whatever is not a `RemoteProtocolError`."""
        if not self.error:
            self.connection.receive_eof()
            self._drain()
        return self.heard, self.error, self.connection.state

    def _drain(self) -> None:
        try:
            while (message := self.connection.next_message()) is not NEED_DATA:
                self.heard.append(encode(message))
                for answer in answers(message):
                    self._send(answer)
        except RemoteProtocolError as error:
            self.error = str(error)

    def _send(self, answer: HostMessage) -> None:
        try:
            self.connection.send(answer)
        except LocalProtocolError:
            return  # the worker's mutated course left no room for it


def whole(data: bytes, _rng: random.Random) -> Iterator[bytes]:
    yield data


def single(data: bytes, _rng: random.Random) -> Iterator[bytes]:
    for at in range(len(data)):
        yield data[at : at + 1]


def pieces(data: bytes, rng: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = rng.choice((1, 2, 5, 20, 80, 300))
        yield data[at : at + size]
        at += size


def outcome(data: bytes, rng: random.Random, split: Callable[..., Iterator[bytes]]) -> Outcome:
    host = Host()
    for piece in split(data, rng):
        host.feed(piece)
        if host.error:
            break
    return host.end()


class Broken(AssertionError):
    """The invariant does not hold; the message repeats the case."""


@dataclass
class Summary:
    """What a run of the fuzzer did."""

    frames: int = 0
    """Frames that a host judged: messages, and the one that ended the connection. Each counts
    once, however often its conversation was fed."""
    mutated: int = 0
    conversations: int = 0
    breaches: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    """Processor time."""

    def __str__(self) -> str:
        parsed = self.conversations - self.breaches
        lines = [
            f"{self.frames} frames judged in {self.conversations} conversations",
            f"{self.mutated} frames mutated or out of place",
            f"{self.breaches} conversations ended in a breach, {parsed} parsed to their end",
            f"{self.seconds:.1f} s of processor time, {self.frames / self.seconds:.0f} frames/s",
        ]
        most = sorted(self.reasons.items(), key=lambda item: -item[1])
        return "\n".join(lines + [f"{n:>9}  {reason}" for reason, n in most])


def reason_of(error: str) -> str:
    """The rule without its numbers, for the summary."""
    words = error.removeprefix("the worker broke the protocol: ").split()
    return " ".join(w for w in words[:8] if not any(c.isdigit() or c in "'`" for c in w))


def judge(data: bytes, rng: random.Random, turn: int) -> Outcome:
    """Feed one conversation whole and in pieces; the outcomes must be equal."""
    first = outcome(data, rng, whole)
    # Byte by byte costs twenty times as much as whole, so one conversation in sixteen has it.
    again = outcome(data, rng, single if turn % 16 == 0 else pieces)
    if first != again:
        raise Broken(f"whole: {first}\nin pieces: {again}")
    if bool(first[1]) == (first[2] is State.DONE):
        raise Broken(f"neither parsed nor refused: {first}")
    return first


def fuzz(frames: int, seed: int) -> Summary:
    """Judge at least `frames` frames. Raises `Broken`."""
    summary = Summary()
    rng = random.Random()  # noqa: S311 - a fuzzer must repeat itself
    began = time.process_time()
    while summary.frames < frames:
        turn = summary.conversations
        rng.seed(seed << 40 | turn)
        data, changed = mutated(rng)
        try:
            heard, error, _ = judge(data, rng, turn)
        except Exception as broken:
            raise Broken(f"seed {seed}, conversation {turn}, bytes {data.hex()}") from broken
        summary.conversations += 1
        summary.mutated += changed
        summary.frames += len(heard) + bool(error)
        summary.breaches += bool(error)
        if error:
            reason = reason_of(error)
            summary.reasons[reason] = summary.reasons.get(reason, 0) + 1
    summary.seconds = time.process_time() - began
    return summary


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=1_000_000, help="how many frames to judge")
    parser.add_argument("--seed", type=int, default=1, help="where the random numbers begin")
    flags = parser.parse_args()
    sys.stdout.write(f"{fuzz(flags.frames, flags.seed)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
