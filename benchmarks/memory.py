"""Measures what memory a spell can cost its host: `python benchmarks/memory.py [--without LAYERS]`.

Every way of the attack suite to hide memory from its limit is let go in each engine by native code
in a locked worker, which then fills the limit up, holds all of it and is looked at from outside:
private and shared pages, swap, page tables and kernel stacks, and what its control group is
charged. With `--without cgroup` it is what a host without control groups has.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from llmspell_harness import native
from llmspell_harness._attack import BOTH
from llmspell_harness._canaries import Canaries
from llmspell_harness._stage import Stage
from llmspell_harness.hosts.memory import Cost, measure
from llmspell_harness.native.memory import MEMORY, SPARE, TITLES

MIB: Final = 1 << 20


async def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description="what memory a spell can cost its host")
    parser.add_argument("--without", default="", metavar="LAYERS", help="left out, with commas")
    skip = frozenset(filter(None, parser.parse_args().without.split(",")))
    native.load()
    print(f"MB at most; the limit is {MEMORY // MIB}, and {SPARE // MIB} more are allowed.\n")
    print("| way | Lua | JavaScript |")
    print("|---|---:|---:|")
    async with Canaries() as canaries, Stage(canaries, skip=skip) as stage:
        for attack, title in TITLES.items():
            costs = [await measure(stage, attack, engine) for engine in BOTH]
            print(f"| {title} | {' | '.join(map(_cell, costs))} |")


def _cell(cost: Cost) -> str:
    if "system call" in cost.ending:
        return "killed"
    return f"{cost.most / MIB:.0f}"


if __name__ == "__main__":
    asyncio.run(main())
