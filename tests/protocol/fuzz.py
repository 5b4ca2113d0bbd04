"""Mutates frames at random: `python -m tests.protocol.fuzz --frames 1000000 --jobs 2 --seed 1`.

A host is put at some place of a lawful conversation and hears one frame that is mutated or out of
place, then the frame that would have come next, then the end. `judge` states the invariant. Bits,
bytes, types, counts and lengths are mutated; frames are cut, spliced, repeated, swapped and forged.

Cases come in batches, each with its own random numbers: a failure prints the command that repeats
its batch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.protocol.conversations import BODIES, CAPS, FOREIGN
from tests.protocol.judge import STAGES, Broken, Stage, judge
from tests.protocol.mutations import MUTATIONS, below, one_of

BATCH: Final = 1000
"""Cases that share their random numbers: to seed a generator takes as long as several cases."""

TASK: Final = 20
"""Batches that are handed to a process at a time: a second's work."""

GROWTH_MAX: Final = 16 * 1024 * 1024
"""Bytes by which a process that fuzzes may grow after its first batch: some arenas of Python's."""

EVERY_BODY: Final = [body for bodies in BODIES for body in bodies] + FOREIGN
LENGTHS: Final = (0, 1, CAPS.worker_frame + 1, 1 << 31, (1 << 32) - 1)


def cases(seed: int, batch: int) -> Iterator[tuple[Stage, bytes, list[bytes]]]:
    """The cases of a batch: a stage, the bytes that follow it, and those bytes in pieces.

    One case in four has pieces: to feed each twice would halve the number of cases.
    """
    rng = random.Random(seed << 40 | batch)  # noqa: S311 - a fuzzer must repeat itself
    for turn in range(BATCH):
        stage = one_of(rng, STAGES)
        data = mutated(stage, rng) + stage.after
        if rng.random() < 0.03:
            data = data[: below(rng, len(data))]
        parts = single(data) if turn % 128 == 0 else pieces(data, rng)
        yield stage, data, parts if turn % 4 == 0 else []


def mutated(stage: Stage, rng: random.Random) -> bytes:
    """One frame that is not the one that is due."""
    if rng.random() < 0.15:
        body = one_of(rng, EVERY_BODY)
        if body is not stage.due and rng.random() < 0.5:
            return len(body).to_bytes(4, "big") + body  # out of place, and nothing else
    else:
        body = stage.due
    copy = bytearray(body)
    while copy == body or rng.random() < 0.25:
        if not copy:
            break
        one_of(rng, MUTATIONS)(copy, rng)
    length = len(copy)
    if rng.random() < 0.02:
        length = one_of(rng, (*LENGTHS, length + 1, max(length - 1, 0)))
    return length.to_bytes(4, "big") + copy


def single(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def pieces(data: bytes, rng: random.Random) -> list[bytes]:
    """Two pieces or three, often cut inside a header."""
    cut, other = below(rng, len(data) + 1), below(rng, 10)
    if other >= cut:
        return [data[:cut], data[cut:]]
    return [data[:other], data[other:cut], data[cut:]]


@dataclass
class Summary:
    """What a run of the fuzzer did."""

    frames: int = 0
    """Frames that were mutated or out of place."""
    parsed: int = 0
    """Conversations that ended well all the same."""
    refused: Counter[str] = field(default_factory=Counter)
    """Rule to how often it was broken."""
    cpu: float = 0.0
    """Seconds of processor time, all processes together."""
    rss: int = 0
    """Peak resident bytes of the greatest process."""
    growth: int = 0
    """Bytes by which the peak of a process grew after its first batch, at most."""
    jobs: int = 1
    wall: float = 0.0

    def add(self, other: Summary) -> None:
        """Take in what another process did."""
        self.frames += other.frames
        self.parsed += other.parsed
        self.refused += other.refused
        self.cpu += other.cpu
        self.rss = max(self.rss, other.rss)
        self.growth = max(self.growth, other.growth)

    def __str__(self) -> str:
        refused = self.refused.total()
        first = (
            f"{self.frames:,} mutated frames in {self.wall:,.0f} s on {self.jobs} processes "
            f"(CPython {platform.python_version()}, {platform.machine()}), no failure"
        )
        rates = (
            f"{self.frames / self.cpu:,.0f} frames per second of a core; each fed whole, one in "
            "four again in pieces, one in 128 byte by byte"
        )
        memory = (
            f"peak memory {self.rss / 1e6:.0f} MB, {self.growth / 1e6:.1f} MB of it while fuzzing"
        )
        lines = [
            first,
            rates,
            f"{self.parsed:,} conversations parsed to their end, {refused:,} were refused",
            memory,
        ]
        return "\n".join(lines + [f"{n:>12,}  {rule}" for rule, n in self.refused.most_common()])


_DETAIL: Final = re.compile(r"['\"].*|, at byte.*|-?\d[0-9a-fx]*")
_RULE_MAX: Final = 60


def rule_of(error: str) -> str:
    """The rule that was broken, without its numbers."""
    text = error.removeprefix("the worker broke the protocol: ")
    text = text.removeprefix("a frame that breaks the rules of values: ")
    return _DETAIL.sub("#", text[:_RULE_MAX])


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz_batches(seed: int, first: int, count: int) -> Summary:
    """Judge every case of `count` batches. Raises `Broken`."""
    summary = Summary(frames=count * BATCH)
    began, peak = time.process_time(), 0
    for batch in range(first, first + count):
        for stage, data, parts in cases(seed, batch):
            try:
                _, error, _ = judge(stage, data, parts)
            except Exception as broken:
                again = f"python -m tests.protocol.fuzz --seed {seed} --batch {batch}"
                raise Broken(f"repeat: {again}\nbytes: {data.hex()}\n{broken!r}") from broken
            if error:
                summary.refused[rule_of(error)] += 1
            else:
                summary.parsed += 1
        peak = peak or _peak()
    summary.cpu = time.process_time() - began
    summary.rss, summary.growth = _peak(), _peak() - peak
    if summary.growth > GROWTH_MAX:
        raise Broken(f"grew by {summary.growth} bytes in batches {first} to {batch}, seed {seed}")
    return summary


def fuzz(frames: int, seed: int, jobs: int = 1) -> Summary:
    """Judge at least `frames` mutated frames on `jobs` processes. Raises `Broken`."""
    total = Summary(jobs=jobs)
    began = time.monotonic()
    batches = -(-frames // BATCH)
    tasks = [(seed, at, min(TASK, batches - at)) for at in range(0, batches, TASK)]
    if jobs == 1:
        for task in tasks:
            total.add(fuzz_batches(*task))
    else:
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            for done in pool.imap_unordered(_fuzz_task, tasks):
                total.add(done)
                _progress(total, frames, time.monotonic() - began)
    total.wall = time.monotonic() - began
    return total


def _fuzz_task(task: tuple[int, int, int]) -> Summary:
    return fuzz_batches(*task)


def _progress(total: Summary, frames: int, seconds: float) -> None:
    if sys.stderr.isatty():
        left = seconds / total.frames * (frames - total.frames) / 60
        sys.stderr.write(f"\r{total.frames:,} of {frames:,}, {left:.0f} minutes left ")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=1_000_000, help="how many frames to mutate")
    parser.add_argument("--seed", type=int, default=1, help="where the random numbers begin")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--batch", type=int, help="repeat this batch, and nothing else")
    flags = parser.parse_args()
    if flags.batch is not None:
        sys.stdout.write(f"{fuzz_batches(flags.seed, flags.batch, 1)}\n")
        return 0
    trial = fuzz_batches(flags.seed, 0, 2)
    minutes = flags.frames * trial.cpu / trial.frames / flags.jobs / 60
    sys.stderr.write(
        f"{flags.frames:,} mutated frames from seed {flags.seed} on {flags.jobs} processes: about "
        f"{minutes:.0f} minutes at {trial.frames / trial.cpu:,.0f} frames per second of a core\n"
    )
    sys.stdout.write(f"{fuzz(flags.frames, flags.seed, flags.jobs)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
