"""Measures and prints: `python -m benchmarks.speed`. Nothing here is asserted by a unit test.

Everything takes turns, a round of each in a random order, so that a machine that drifts drifts for
all. Figures are medians unless they say otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.startup import machine
from llmspell_supervisor import PoolSize
from llmspell_supervisor._pool import NO_POOL

from . import floors, ours
from .figures import Figures

ROUNDS = 60
QUICK = 8
EXAMPLES = Path(__file__).parents[2] / "examples"
Subject = Callable[[], Awaitable[float] | float]


class Peers:
    """The peers' own interpreter; none where it is not installed."""

    def __init__(self, python: str | None) -> None:
        self.missing: dict[str, str] = {}
        self._process = None
        if python and Path(python).exists():
            self._process = subprocess.Popen(
                [python, str(Path(__file__).with_name("peers.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    def subject(self, name: str) -> Subject:
        """One sample of a peer. NaN, once, where it does not work."""

        def once() -> float:
            if self._process is None or name in self.missing:
                return float("nan")
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{name} 1\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            if isinstance(answer, dict):
                self.missing[name] = answer["error"]
                return float("nan")
            return float(answer[0])

        return once

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()


async def take_turns(subjects: dict[str, Subject], rounds: int) -> dict[str, list[float]]:
    """Samples by name. The first round is not counted."""
    order = random.Random(1)  # noqa: S311 - an order, not a secret
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name in order.sample(list(subjects), len(subjects)):
            taken = subjects[name]()
            value = taken if isinstance(taken, float) else await taken
            if number:
                samples[name].append(value)
    return samples


async def latencies(peers: Peers, deno: str | None, rounds: int) -> dict[str, list[float]]:
    """Whatever takes milliseconds, in turns."""
    command = str(Path(sys.executable).with_name("llmspell-supervisor"))
    forkers = {engine: floors.Forker(engine) for engine in ("lua", "javascript")}
    pipe = floors.PingPong()
    kilobyte, big = "x" * 1000, "x" * ours.BIG
    async with (
        ours.supervisor(PoolSize(low=2, high=4)) as (warm, _),
        ours.supervisor(NO_POOL) as (cold, _),
    ):
        subjects: dict[str, Subject] = {
            "floor: 1 KB there and back": lambda: min(pipe(kilobyte) for _ in range(50)),
            "floor: 10 MB there and back": lambda: pipe(big),
            **{f"peer: {name}": peers.subject(name) for name in
               ("monty cold", "monty call", "sandlock", "smolagents")},
        }  # fmt: skip
        for engine in ("lua", "javascript"):
            await ours.timed(warm, ours.TRIVIAL, engine)
            subjects |= {
                f"floor: fork and wait, {engine}": forkers[engine],
                f"warm, {engine}": _warm(warm, engine),
                f"cold, {engine}": _cold(cold, engine),
                f"call, {engine}": _calls(warm, engine, kilobyte),
                f"10 MB, {engine}": _large(warm, engine),
            }
        for suffix in ("lua", "js"):
            spell = str(EXAMPLES / f"hello.{suffix}")
            subjects[f"command, hello.{suffix}"] = floors.process(command, "run", spell)
        if node := shutil.which("node"):
            subjects["peer: node -e 1"] = floors.process(node, "-e", "1")
        if deno and Path(deno).exists():
            subjects["peer: deno eval 1"] = floors.process(deno, "eval", "1")
        samples = await take_turns(subjects, rounds)
    pipe.close()  # first: it was forked from us, and holds what we hold
    for forker in forkers.values():
        forker.close()
    return samples


def _warm(running: Any, engine: str) -> Subject:
    async def once() -> float:
        await ours.rested(running, engine)
        return await ours.timed(running, ours.TRIVIAL, engine)

    return once


def _cold(running: Any, engine: str) -> Subject:
    return lambda: ours.timed(running, ours.TRIVIAL, engine)


def _calls(running: Any, engine: str, value: str) -> Subject:
    async def once() -> float:
        none = await ours.timed(running, ours.ECHO[engine], engine, n=0, value=value)
        many = await ours.timed(running, ours.ECHO[engine], engine, n=ours.CALLS, value=value)
        return (many - none) / ours.CALLS

    return once


def _large(running: Any, engine: str) -> Subject:
    async def once() -> float:
        none = await ours.timed(running, ours.LARGE[engine], engine, n=1)
        return await ours.timed(running, ours.LARGE[engine], engine, n=ours.BIG) - none

    return once


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--peers", help="the interpreter that has the peers installed")
    parser.add_argument("--deno", default=shutil.which("deno"))
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    arguments = parser.parse_args()
    rounds = QUICK if arguments.quick else arguments.rounds
    lua, javascript = (100, 30) if arguments.quick else (1000, 300)
    ours.room_for(lua)
    began = time.monotonic()
    peers = Peers(arguments.peers)
    samples = await latencies(peers, arguments.deno, rounds)
    peers.close()
    figures = Figures(samples)
    for engine, count in (("lua", lua), ("javascript", javascript)):
        figures.throughput[engine] = await ours.throughput(engine, rounds / 12, 8)
        figures.waiting[engine] = (count, *await ours.waiting(engine, count, 2.0))
        figures.late[engine] = await ours.overshoot(engine, max(QUICK, rounds))
        figures.delta[engine] = await ours.streams(engine)
    print(f"{machine()}; {rounds} rounds in turns, {time.monotonic() - began:.0f} s.\n")
    print("\n".join([*figures.table(), "", *figures.samples_table()]))
    for name, error in peers.missing.items():
        print(f"\n{name} does not work here: {error}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures.as_json(), indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
