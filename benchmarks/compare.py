"""This tree beside another commit of it: `python -m benchmarks.compare BASE`.

Both are measured in one run, a process of each in turns, so that a machine that drifts drifts for
both; each has its own packages on the path, and this tree's measuring code. Prints the ratio of
medians with the range that a bootstrap gives for it. Exits with 1 if a figure is slower than `--most`
times the base's beyond doubt: if the whole of its range is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("protocol", "workers", "bridges", "supervisor")
TURNS = 10
SAMPLES = 8
"""Samples of each figure in one process."""
RESAMPLES = 2000

Samples = dict[str, list[float]]


async def sample() -> Samples:
    """Seconds of a few runs of each kind, by the packages that are on the path."""
    from benchmarks.speed import ours
    from llmspell_supervisor import PoolSize
    from llmspell_supervisor._pool import NO_POOL

    found: Samples = {}
    async with (
        ours.supervisor(PoolSize(low=2, high=4)) as (warm, _),
        ours.supervisor(NO_POOL) as (cold, _),
    ):
        for engine in ("lua", "javascript"):

            async def one(
                what: str, running: object, source: str, engine: str = engine, **params: object
            ) -> None:
                values = found.setdefault(f"{what}, {engine}", [])
                await ours.timed(running, source, engine, **params)  # type: ignore[arg-type]
                for _ in range(SAMPLES):
                    if running is warm:
                        await ours.rested(warm, engine)
                    values.append(await ours.timed(running, source, engine, **params))  # type: ignore[arg-type]

            await one("cold", cold, ours.TRIVIAL)
            await one("warm", warm, ours.TRIVIAL)
            await one("100 calls", warm, ours.ECHO[engine], n=100, value="x" * 1000)
            await one("1 MB", warm, ours.LARGE[engine], n=1 << 20)
    return found


def in_a_process(tree: Path) -> Samples:
    """The same, by the packages of a tree."""
    path = os.pathsep.join([str(ROOT), *(str(tree / package) for package in PACKAGES)])
    # This tree first for `benchmarks`; its packages are not importable from there.
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.compare", "--sample"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
    )
    samples: Samples = json.loads(answer.stdout)
    return samples


def spread(ours: list[float], base: list[float]) -> tuple[float, float, float]:
    """The ratio of medians, and the bounds between which 95 of 100 resamples have it."""
    chance = random.Random(1)  # noqa: S311 - a sample, not a secret
    ratios = sorted(
        statistics.median(chance.choices(ours, k=len(ours)))
        / statistics.median(chance.choices(base, k=len(base)))
        for _ in range(RESAMPLES)
    )
    cut = RESAMPLES // 40
    return statistics.median(ours) / statistics.median(base), ratios[cut], ratios[-1 - cut]


def table(ours: Samples, base: Samples, most: float) -> tuple[list[str], bool]:
    """Markdown, and whether nothing is slower than it may be."""
    rows = ["| what | base ms | ours ms | ratio | 95% | |", "|---|---:|---:|---:|---:|---|"]
    good = True
    for what in sorted(ours.keys() & base.keys()):
        ratio, low, high = spread(ours[what], base[what])
        slower = low > most
        good = good and not slower
        word = "**slower**" if slower else "faster" if high < 1 else ""
        rows.append(
            f"| {what} | {1000 * statistics.median(base[what]):.2f} "
            f"| {1000 * statistics.median(ours[what]):.2f} | {ratio:.2f} "
            f"| {low:.2f} to {high:.2f} | {word} |"
        )
    return rows, good


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", nargs="?", default="HEAD", help="a commit (default: HEAD)")
    parser.add_argument("--turns", type=int, default=TURNS, help="processes of each tree")
    parser.add_argument("--most", type=float, default=1.2, help="the ratio that is too much")
    parser.add_argument("--sample", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sample:
        print(json.dumps(asyncio.run(sample())))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "base"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), arguments.base], check=True)
        try:
            ours: Samples = {}
            base: Samples = {}
            for turn in range(arguments.turns):
                order = [(ours, ROOT), (base, tree)]
                for kept, where in order if turn % 2 else reversed(order):
                    for what, values in in_a_process(where).items():
                        kept.setdefault(what, []).extend(values)
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    rows, good = table(ours, base, arguments.most)
    print("\n".join(rows))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
