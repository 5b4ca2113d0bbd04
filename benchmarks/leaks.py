"""A hundred thousand trivial spells through the pool, and what is left of them in the supervisor.

`python -m benchmarks.leaks [--runs N]`. Exits with 1 when descriptors, processes or control groups
are more than before, or memory grows by more than `SLOPE`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
from pathlib import Path

from benchmarks.speed import ours
from llmspell_supervisor import PoolSize

RUNS = 100_000
AT_ONCE = 8
SLOPE = 64 << 10
"""Bytes of resident memory for a thousand runs: less than one object of each."""
WARM_UP = 0.1
"""Share of the runs after which nothing is to grow."""


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held() -> dict[str, int]:
    """What a leak would add to."""
    groups = sum(
        name.startswith(f"llmspell-{os.getpid()}-")
        for _, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
    )
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(children),
        "control groups": groups,
    }


def slope(points: list[tuple[int, int]]) -> float:
    """Bytes for a thousand runs: the least-squares line."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return 1000 * over / sum((x - mean_x) ** 2 for x, _ in points)


async def run(runs: int) -> list[tuple[int, int]]:
    """Runs done and bytes resident, every two hundredth of the way."""
    points: list[tuple[int, int]] = []
    async with ours.supervisor(PoolSize(low=2, high=AT_ONCE)) as (running, _):
        left = iter(range(runs))

        async def keep() -> None:
            for number in left:
                engine = "javascript" if number % 10 == 0 else "lua"
                await ours.timed(running, ours.TRIVIAL, engine)
                if number % max(1, runs // 200) == 0:
                    points.append((number, resident()))

        await asyncio.gather(*(keep() for _ in range(AT_ONCE)))
    return [(number, size) for number, size in sorted(points) if number >= WARM_UP * runs]


def main() -> int:
    """Run, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    before, began = held(), time.monotonic()
    points = asyncio.run(run(arguments.runs))
    gc.collect()
    after, took = held(), time.monotonic() - began
    grown = slope(points)
    print(f"{arguments.runs:,} runs in {took:.0f} s, one in ten in JavaScript, {AT_ONCE} at once")
    print(
        f"memory: {points[0][1] >> 10:,} KiB to {points[-1][1] >> 10:,}; "
        f"{grown / 1024:+.1f} KiB per thousand runs"
    )
    for what, count in before.items():
        print(f"{what}: {count} before, {after[what]} after")
    leaked = any(after[what] > count for what, count in before.items())
    return 1 if leaked or grown > SLOPE else 0


if __name__ == "__main__":
    sys.exit(main())
