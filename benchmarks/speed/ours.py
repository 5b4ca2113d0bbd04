"""What we take, through the interface that everybody uses. Seconds everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

from msgspec import structs

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method
from llmspell_supervisor import Admission, Policy, PoolSize, Spell, Supervisor

TRIVIAL = "return 1"
CALLS = 1000
"""Bridge calls in one run."""
BIG = 10 << 20
"""Bytes of the large value."""
STREAMS, DELTAS = 100, 1000
_SLACK = 1 << 20
_FULL = Policy(
    timeout=120,
    cpu=100,
    allow_bridges=("bench",),
    max_calls=10_000,
    max_request=BIG + _SLACK,
    max_response=BIG + _SLACK,
    max_output=BIG + _SLACK,
    max_concurrent=64,
)

_LUA = "for i = 1, params.n do bench.%s(params.value) end"
_JAVASCRIPT = "for (let i = 0; i < params.n; i++) await bench.%s(params.value)"
ECHO = {"lua": _LUA % "echo", "javascript": _JAVASCRIPT % "echo"}
REPEAT = {"lua": _LUA % "repeat_later", "javascript": _JAVASCRIPT % "repeatLater"}
"""As `ECHO`, where the bridge's method is a coroutine, which has a task."""
LARGE = {
    "lua": "return bench.take(bench.large(params.n))",
    "javascript": "return await bench.take(await bench.large(params.n))",
}
WAIT = {"lua": "return bench.wait()", "javascript": "return await bench.wait()"}
READ = {
    "lua": """
      local late, last = 0, -1
      for chunk in bench.deltas(params.n) do
        if chunk.number ~= last + 1 then error("lost or reordered") end
        last = chunk.number
      end
      return last""",
    "javascript": """
      let last = -1;
      for await (const chunk of bench.deltas(params.n)) {
        if (chunk.number !== last + 1) throw new Error("lost or reordered");
        last = chunk.number;
      }
      return last""",
}
SPIN = {"lua": "while true do end", "javascript": "for (;;);"}


class Bench(Bridge):
    """The host's side of what is measured."""

    name: ClassVar[str] = "bench"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.waiting = 0
        self.go = asyncio.Event()
        self._text = "x" * BIG

    @method
    def echo(self, ctx: CallContext, value: str) -> str:
        """The value."""
        return value

    @method
    async def repeat_later(self, ctx: CallContext, value: str) -> str:
        """The value, from what might have waited for it."""
        return value

    @method
    def large(self, ctx: CallContext, size: int) -> str:
        """So many bytes of text."""
        return self._text[:size]

    @method
    def take(self, ctx: CallContext, value: str) -> int:
        """How much text that is."""
        return len(value)

    @method
    async def wait(self, ctx: CallContext) -> bool:
        """Wait, as for a model."""
        self.waiting += 1
        await self.go.wait()
        return True

    @method
    async def deltas(self, ctx: CallContext, count: int) -> AsyncIterator[dict[str, int]]:
        """Numbers, a turn of the loop apart."""
        for number in range(count):
            yield {"number": number}
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def supervisor(pool: PoolSize | None = None) -> AsyncIterator[tuple[Supervisor, Bench]]:
    """A supervisor with the bridge, and no limit on how many run."""
    async with Supervisor(pool=pool, admission=Admission(10_000, 10_000)) as running:
        bench = Bench()
        running.bridges.add(bench)
        yield running, bench


def spell(source: str, engine: str) -> Spell:
    """A spell of that source."""
    return Spell.from_text(source, engine, "bench")


async def timed(
    running: Supervisor, source: str, engine: str, policy: Policy = _FULL, **params: object
) -> float:
    """Seconds from `run` to its report, which must be a good one."""
    began = time.perf_counter()
    report = await running.run(spell(source, engine), params=params, policy=policy)
    took = time.perf_counter() - began
    if not report.ok:
        raise RuntimeError(f"{engine}: {report.verdict}: {report.problem}")
    return took


async def rested(running: Supervisor, engine: str) -> None:
    """Until the pool is full: nobody's refill is measured."""
    shelves = running._zygotes[engine, True]._pool._shelves.values()
    while any(s.coming or len(s.ready) < s.wanted or s.refill for s in shelves):
        await asyncio.sleep(0.001)


async def throughput(engine: str, seconds: float, at_once: int) -> float:
    """Trivial spells a second, each in a worker of its own."""
    async with supervisor() as (running, _):
        return await _rate(running, engine, _FULL, seconds, at_once)


async def sharded(engine: str, shards: int, seconds: float, at_once: int) -> float:
    """The same with so many shards, 0 for none, and no bridge: those of shards are installed ones."""
    async with Supervisor(shards=shards) as running:
        policy = structs.replace(_FULL, allow_bridges=())
        return await _rate(running, engine, policy, seconds, at_once)


async def _rate(
    running: Supervisor, engine: str, policy: Policy, seconds: float, at_once: int
) -> float:
    await timed(running, TRIVIAL, engine, policy)
    done, until = 0, time.perf_counter() + seconds

    async def keep() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await timed(running, TRIVIAL, engine, policy)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(keep() for _ in range(at_once)))
    return done / (time.perf_counter() - began)


async def waiting(engine: str, count: int, seconds: float) -> tuple[float, float]:
    """MB of PSS for each of so many spells that wait, and the supervisor's processor share."""
    async with supervisor() as (running, bench):
        runs = [asyncio.create_task(timed(running, WAIT[engine], engine)) for _ in range(count)]
        while bench.waiting < count:
            await asyncio.sleep(0.05)
            for run in runs:
                if run.done():
                    run.result()
        workers = _workers()
        pss = sum(_pss(pid) for pid in workers) / len(workers)
        before = time.process_time()
        await asyncio.sleep(seconds)
        share = (time.process_time() - before) / seconds
        bench.go.set()
        await asyncio.gather(*runs)
        return pss / 2**20, share


def _workers() -> list[int]:
    below = {os.getpid()}
    for _ in range(2):  # the outer process, pid 1
        below = {child for pid in below for child in _children(pid)}
    return [worker for pid in below for worker in _children(pid)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, path.read_text().split())
    return found


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    raise LookupError(pid)


async def overshoot(engine: str, rounds: int) -> list[float]:
    """Seconds past the wall limit, while both cores are busy with other endless spells."""
    limit, late = 0.1, []
    async with supervisor() as (running, _):
        busy = Policy(timeout=60, cpu=1000)
        others = [
            asyncio.create_task(running.run(spell(SPIN[engine], engine), policy=busy))
            for _ in range(len(os.sched_getaffinity(0)))
        ]
        for _ in range(rounds):
            report = await running.run(
                spell(SPIN[engine], engine), policy=Policy(timeout=limit, cpu=10)
            )
            late.append(report.usage.wall - limit)
        running.cancel_all()
        await asyncio.gather(*others)
    return late


async def streams(engine: str) -> float:
    """Seconds that one delta of a hundred streams at once takes; none is lost or reordered."""
    async with supervisor() as (running, _):
        await timed(running, TRIVIAL, engine)
        began = time.perf_counter()
        await asyncio.gather(
            *(timed(running, READ[engine], engine, n=DELTAS) for _ in range(STREAMS))
        )
        return (time.perf_counter() - began) / (STREAMS * DELTAS)


def room_for(count: int) -> None:
    """Raise our limit on descriptors: each run in flight takes four."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8 * count + 256
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
