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
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from llmspell_supervisor import PoolSize
from llmspell_supervisor._pool import NO_POOL

from . import floors, ours
from .figures import Figures
from .life import life
from .machine import machine

ROUNDS = 60
QUICK = 8
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
ENGINES = (("lua", "Lua"), ("javascript", "JavaScript"))
SHARDS = (0, 1, 2)
EXAMPLES = Path(__file__).parents[2] / "examples"
Subject = Callable[[], Awaitable[float] | float]


class Peers:
    """The peers' own interpreter, in the folder where they are installed; none where it is not."""

    def __init__(self, folder: Path | None) -> None:
        self.missing: dict[str, str] = {}
        self._process = None
        self.workerd: str | None = None
        """A program of its own."""
        if folder is None:
            return
        workerd = folder / "node_modules/@cloudflare/workerd-linux-64/bin/workerd"
        self.workerd = str(workerd) if workerd.exists() else None
        python = folder / "bin/python"
        if python.exists():
            self._process = subprocess.Popen(
                [str(python), str(Path(__file__).with_name("peers.py"))],
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
                f"call, {engine}": _calls(warm, ours.ECHO[engine], engine, kilobyte),
                f"call of a coroutine, {engine}": _calls(
                    warm, ours.REPEAT[engine], engine, kilobyte
                ),
                f"10 MB, {engine}": _large(warm, engine),
            }
        for suffix in ("lua", "js"):
            spell = str(EXAMPLES / f"hello.{suffix}")
            subjects[f"command, hello.{suffix}"] = floors.process(command, "run", spell)
        subjects |= _processes(deno, peers.workerd)
        samples = await take_turns(subjects, rounds)
    pipe.close()  # first: it was forked from us, and holds what we hold
    for forker in forkers.values():
        forker.close()
    return samples


def _processes(deno: str | None, workerd: str | None) -> dict[str, Subject]:
    """Peers that are a whole process a run, of those that are here."""
    node, jail = shutil.which("node"), shutil.which("bwrap")
    bare = EXAMPLES.parent / "benchmarks/peers/hello.js"
    commands = {
        "peer: python -c pass": (sys.executable, "-c", "pass"),
        "peer: bubblewrap true": jail and (jail, "--ro-bind", "/", "/", "--unshare-all", "true"),
        "peer: node -e 1": node and (node, "-e", "1"),
        "peer: node hello.js": node and (node, str(bare)),
        "peer: deno eval 1": deno and (deno, "eval", "1"),
        "peer: deno run hello.js": deno and (deno, "run", str(bare)),
        "peer: workerd test": workerd and (workerd, "test", str(bare.with_suffix(".capnp"))),
    }
    return {name: floors.process(*words) for name, words in commands.items() if words}


def _warm(running: Any, engine: str) -> Subject:
    async def once() -> float:
        await ours.rested(running, engine)
        return await ours.timed(running, ours.TRIVIAL, engine)

    return once


def _cold(running: Any, engine: str) -> Subject:
    return lambda: ours.timed(running, ours.TRIVIAL, engine)


def _calls(running: Any, source: str, engine: str, value: str) -> Subject:
    async def once() -> float:
        none = await ours.timed(running, source, engine, n=0, value=value)
        many = await ours.timed(running, source, engine, n=ours.CALLS, value=value)
        return (many - none) / ours.CALLS

    return once


def _large(running: Any, engine: str) -> Subject:
    async def once() -> float:
        none = await ours.timed(running, ours.LARGE[engine], engine, n=1)
        return await ours.timed(running, ours.LARGE[engine], engine, n=ours.BIG) - none

    return once


async def growth(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """How cost grows: what it is about to a number of it, and the median seconds."""
    found: dict[str, list[tuple[float, float]]] = {}

    async def grow(
        what: str, numbers: tuple[int, ...], sample: Callable[[int], Awaitable[float]]
    ) -> None:
        found[what] = []
        for number in numbers:
            samples = [await sample(number) for _ in range(max(3, rounds // 12))]
            found[what].append((number, statistics.median(samples)))

    async with ours.supervisor(PoolSize(low=2, high=8)) as (running, _):
        for engine, name in ENGINES:

            async def at_once(count: int, engine: str = engine) -> float:
                began = time.perf_counter()
                await asyncio.gather(
                    *(ours.timed(running, ours.TRIVIAL, engine) for _ in range(count))
                )
                return time.perf_counter() - began

            async def calls(count: int, engine: str = engine) -> float:
                await ours.rested(running, engine)
                return await ours.timed(running, ours.ECHO[engine], engine, n=count, value="x")

            async def size(count: int, engine: str = engine) -> float:
                await ours.rested(running, engine)
                return await ours.timed(running, ours.LARGE[engine], engine, n=count)

            await ours.timed(running, ours.TRIVIAL, engine)
            await grow(f"{name}: so many spells at once", (1, 4, 16, 64, 256), at_once)
            await grow(f"{name}: a spell with so many calls", (1, 10, 100, 1000), calls)
            await grow(f"{name}: a value of so many bytes, there and back", SIZES, size)
    return found


async def lives(rounds: int) -> dict[str, list[tuple[str, float]]]:
    """Where the time of one run goes, by language."""
    async with ours.supervisor(NO_POOL) as (running, _):
        found = {}
        for engine, name in ENGINES:
            await ours.timed(running, ours.TRIVIAL, engine)
            found[name] = await life(running, engine, rounds)
        return found


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--peers", type=Path, help="the environment that has the peers installed")
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
        for shards in SHARDS:
            figures.shards[engine][shards] = await ours.sharded(engine, shards, rounds / 12, 8)
        figures.waiting[engine] = (count, *await ours.waiting(engine, count, 2.0))
        figures.late[engine] = await ours.overshoot(engine, max(QUICK, rounds))
        figures.delta[engine] = await ours.streams(engine)
    figures.growth = await growth(rounds)
    figures.lives = await lives(rounds)
    print(f"{machine()}; {rounds} rounds in turns, {time.monotonic() - began:.0f} s.\n")
    print("\n".join(figures.tables()))
    for name, error in peers.missing.items():
        print(f"\n{name} does not work here: {error}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"machine": machine(), **figures.as_json()}, indent=1) + "\n"
        )


if __name__ == "__main__":
    asyncio.run(main())
