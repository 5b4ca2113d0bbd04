"""Measures what one frame costs its host: `python benchmarks/frames.py`.

Each frame is a worker's `Result`, hostile or honest, and as heavy as a frame may be unless it says
otherwise. Processor time is the best of some rounds, over megabytes begun (a frame of a kilobyte
counts as one); memory is the peak of what Python allocates from the frame's last byte on. Beside it
stands what an empty step of a loop takes on this machine at that moment.
"""

from __future__ import annotations

import argparse
import gc
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Final

import msgspec

from llmspell_protocol import (
    MAX_DEPTH,
    MAX_WEIGHT,
    PROTOCOL_VERSION,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
    Call,
    Caps,
    Connection,
    Ready,
    RemoteProtocolError,
    Result,
    Role,
    Start,
    WorkerLimits,
    pack,
)

MB: Final = 1024 * 1024
PIECE: Final = 64 * 1024
"""Bytes of one read, as the supervisor's channel reads."""
ROOM: Final = MAX_WEIGHT - 100
"""Weight for the value, less its message."""
CAP: Final = Caps().worker_frame - 64

encode: Final = msgspec.msgpack.Encoder().encode
random_numbers: Final = random.Random(1)  # noqa: S311 - the same frames each time


def array(items: list[bytes]) -> bytes:
    """A list of encoded values."""
    size = len(items)
    if size > 0xFFFF:
        head = b"\xdd" + size.to_bytes(4, "big")
    else:
        head = b"\xdc" + size.to_bytes(2, "big") if size > 15 else bytes([0x90 + size])
    return head + b"".join(items)


def filled(item: bytes, weight: int) -> bytes:
    """A list of as many of `item` as may cross."""
    return array([item] * min(ROOM // weight, CAP // len(item)))


def mixed(count: int) -> list[int | float]:
    """Numbers of every size on the wire."""
    kinds = (
        lambda r: r * 9,
        lambda r: int(r * 99),
        lambda r: int(r * 6e4),
        lambda r: int(r * 4e15),
    )
    return [random_numbers.choice(kinds)(random_numbers.random()) for _ in range(count)]


def colliding(count: int) -> list[str]:
    """Keys that share a bucket of a big table where hashes have no secret (PYTHONHASHSEED=0)."""
    code = (
        "import itertools as i, sys\n"
        "good = (f'{n:x}' for n in i.count() if hash(f'{n:x}') & 0x7FF == 7)\n"
        f"print(' '.join(i.islice(good, {count})))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def hostile() -> dict[str, bytes]:
    """What each frame holds, by name."""
    one, text = 1, WEIGHT_TEXT
    box = WEIGHT_CONTAINER
    return {
        "nulls": filled(b"\xc0", one),
        "numbers of two sizes in turn": array([b"\xc0", b"\xcd\x12\x34"] * (ROOM // 2)),
        "64-bit integers": filled(b"\xcf" + bytes(8), one),
        "floats, and one integer": array([encode(0.5)] * ((CAP - 1) // 9 - 1) + [b"\x01"]),
        "empty maps": filled(b"\x80", box),
        "maps of one": filled(b"\x81\xa1a\xc0", box + text + one),
        "lists of one": filled(b"\x91\xc0", box + one),
        "lists of 16 to be walked": filled(
            b"\xdc\x00\x10" + b"\xc0\x00" * 7 + b"\xcc\xff\xc0", box + 16
        ),
        "lists of 63 floats": filled(array([encode(0.5)] * 62 + [b"\x01"]), box + 63),
        "nested to the limit": filled(
            b"\x91" * (MAX_DEPTH - 2) + b"\xc0", box * (MAX_DEPTH - 2) + 1
        ),
        "short texts": filled(b"\xa3abc", text),
        "short Cyrillic texts": filled(b"\xa2\xd0\xb6", text),
        "texts of 32 bytes": filled(b"\xd9\x20" + b"x" * 32, text),
        "short bytes": filled(b"\xc4\x01x", text),
        "one map": encode(dict.fromkeys((f"{n:x}" for n in range(ROOM // (text + 1))), 1)),
        "one map, keys that would collide": encode(dict.fromkeys(colliding(ROOM // (text + 1)), 1)),
        "text that quadruples in memory": encode("x" * (CAP - 8) + "\U0001f600"),
        "refused: a megabyte of nulls": array([b"\xc0"] * CAP),
        "refused: a megabyte of empty maps": array([b"\x80"] * CAP),
        "refused: 2^32 nulls announced": b"\xdd\xff\xff\xff\xff",
        "refused: nested 1,000,000 deep": b"\x91" * 1_000_000 + b"\xc0",
        "refused: integer keys that collide": b"\xde\xff\xff"
        + b"".join(encode(n * (2**61 - 1)) + b"\xc0" for n in range(8))
        + bytes(200_000),
        "refused: an extension of a megabyte": b"\xc9" + MB.to_bytes(4, "big") + bytes(MB),
    }


def honest() -> dict[str, bytes]:
    """What scripts send."""
    record = {"id": 7, "name": "x" * 40, "score": 0.5}
    return {
        "a call of 1 KB": encode([{"messages": [{"role": "user", "content": "x" * 900}]}]),
        "100,000 numbers": encode(mixed(100_000)),
        "66 embeddings of 1,536": encode([[random_numbers.random() for _ in range(1536)]] * 66),
        "1,700 records": encode([record] * 1700),
        "1 MB of text": encode("x" * MB),
        "1 MB of Cyrillic text": encode("ж" * (MB // 2)),
        "10 MB of text": encode("x" * (10 * MB)),
    }


def listening() -> Connection:
    """A host whose script runs."""
    host = Connection(Role.HOST, Caps(worker_frame=11 * MB))
    hear(host, encode(Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {})))
    limits = WorkerLimits(1, 1, 1, 16)
    host.send(Start("execute", "x", "", msgspec.Raw(pack({})), {}, {}, limits))
    return host


def hear(host: Connection, body: bytes) -> None:
    """The host reads one frame in pieces, and refuses it or not."""
    data = memoryview(len(body).to_bytes(4, "big") + body)
    for at in range(0, len(data), PIECE):
        host.receive_data(data[at : at + PIECE])
    try:
        host.next_message()
    except RemoteProtocolError:
        return


def message(value: bytes, *, call: bool) -> bytes:
    """The frame's body that carries `value`."""
    raw = msgspec.Raw(value)
    return encode(Call(1, "llm.complete", raw) if call else Result(raw))


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Processor time of this thread, the best of `rounds`."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best


def cost(body: bytes, rounds: int) -> tuple[float, int]:
    """Seconds of one frame, and bytes at the peak."""
    hosts = iter([listening() for _ in range(rounds + 1)])
    gc.collect()
    best = seconds(lambda: hear(next(hosts), body), rounds)
    host = next(hosts)
    tracemalloc.start()
    hear(host, body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return best, peak


def step() -> float:
    """Seconds of an empty step of a loop."""
    steps = range(100_000)

    def loop() -> None:
        for _ in steps:
            pass

    return seconds(loop, 9) / len(steps)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7, help="the best of how many")
    rounds = parser.parse_args().rounds
    print("| frame | size KB | ms | ms per MB | peak MB |\n|---|---:|---:|---:|---:|")
    for kind, table in (("hostile", hostile()), ("honest", honest())):
        for name, value in table.items():
            body = message(value, call=name.startswith("a call"))
            best, peak = cost(body, rounds)
            per_mb = best * 1000 / max(1.0, len(body) / MB)
            size = len(body) / 1024
            print(
                f"| {kind}: {name} | {size:,.0f} | {best * 1000:.2f} | {per_mb:.1f} | {peak / MB:.1f} |"
            )
    print(
        f"\nAn empty step of a loop: {step() * 1e9:.0f} ns; {sys.implementation.name} {sys.version.split()[0]}."
    )


if __name__ == "__main__":
    main()
