"""The memory that a spell costs its host, measured from outside while it holds what it could get.

What counts is what the host has less of: the worker's private pages, in memory or in swap, its page
tables and the stacks that the kernel keeps for its threads; and, where a control group counts,
what that has charged to it, the kernel's own objects included. Pages of files and those that the
zygote had before are shared, and counted all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from .._attack import BOTH, Succeeded, host
from ..native import memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._stage import Stage

_MIB: Final = 1 << 20
_KERNEL_STACK: Final = 16 * 1024
_KINDS: Final = ("RssAnon", "RssShmem", "VmSwap", "VmPTE")
_PAUSE: Final = 0.02
"""Seconds between two looks."""
_STILL: Final = 5
"""Looks in a row that found the same: it has what it can get, and waits."""
_PATIENCE: Final = 15.0


class Cost(Struct, frozen=True):
    """Bytes that one worker costs its host, at most, by what the host itself says."""

    process: int = 0
    """Private and shared anonymous pages, swap, page tables, kernel stacks: /proc/PID/status."""
    group: int | None = None
    """Charged to its control group; None where there is none."""
    ending: str = "held it until it was killed"
    """How the run ended, if not by us."""

    @property
    def most(self) -> int:
        """The larger figure."""
        return max(self.process, self.group or 0)


async def measure(stage: Stage, attack: str, engine: str) -> Cost:
    """Let a way of `native.memory` take and hold what it can, and look."""
    before = set(_workers(os.getpid()))
    run = asyncio.create_task(
        stage.run(
            attack,
            engine,
            params={"hold": memory.MEMORY + memory.BEYOND},
            policy={"memory": memory.MEMORY},
        )
    )
    cost, last, still = Cost(), -1, 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    while not run.done() and still < _STILL and loop.time() < deadline:
        await asyncio.wait([run], timeout=_PAUSE)
        costs = {pid: _cost_of(pid) for pid in set(_workers(os.getpid())) - before}
        if not costs:
            continue
        pid, now = max(costs.items(), key=lambda item: item[1].process)  # others only wait
        cost = Cost(max(cost.process, now.process), _larger(cost.group, now.group))
        still = still + 1 if now.process == last and _sleeps(pid) else 0
        last = now.process
    if not run.done():
        run.cancel()
        await asyncio.wait([run])
        return cost
    report = run.result()
    words = report.problem.message if report.problem else report.verdict
    return Cost(cost.process, cost.group, words)


def _larger(one: int | None, other: int | None) -> int | None:
    return max((v for v in (one, other) if v is not None), default=None)


def _workers(parent: int, depth: int = 3) -> list[int]:
    """Our zygotes' own zygotes' children."""
    children: list[int] = []
    for path in glob.glob(f"/proc/{parent}/task/*/children"):
        with contextlib.suppress(OSError), open(path) as file:
            children += map(int, file.read().split())
    return children if depth == 1 else [w for c in children for w in _workers(c, depth - 1)]


def _cost_of(pid: int) -> Cost:
    try:
        with open(f"/proc/{pid}/status") as file:
            facts = dict(re.findall(r"(\w+):\s+(\d+)", file.read()))
    except OSError:
        return Cost()
    pages = sum(int(facts.get(kind, 0)) for kind in _KINDS) * 1024
    return Cost(pages + int(facts.get("Threads", 1)) * _KERNEL_STACK, _charged(pid))


def _charged(pid: int) -> int | None:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup") as file:
        for line in file.read().splitlines():
            _, controllers, path = line.split(":", 2)
            if "llmspell-" not in path:
                continue
            for name in (
                f"/sys/fs/cgroup/{controllers}{path}/memory.usage_in_bytes",
                f"/sys/fs/cgroup{path}/memory.current",
            ):
                with contextlib.suppress(OSError, ValueError), open(name) as usage:
                    return int(usage.read())
    return None


def _sleeps(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return False


def _declare(attack: str) -> None:
    number, _, name = attack.partition(" ")

    async def look(stage: Stage) -> str:
        cost = await measure(stage, attack, stage.engine)
        figures = f"{cost.most / _MIB:.0f} MB at most, the limit is {memory.MEMORY / _MIB:.0f}"
        if cost.most > memory.MEMORY + memory.SPARE:
            raise Succeeded(figures)
        return f"{figures}: {cost.ending}"

    look.__name__ = f"{name}, seen from outside"
    title = f"{memory.TITLES[attack]}, seen from outside"
    declare: Callable[[Callable[[Stage], Awaitable[str]]], object]
    declare = host(number, title, engines=BOTH)
    declare(look)


for _attack in memory.WAYS:
    _declare(_attack)


@host("O42", "as much memory in swap as may be had", engines=BOTH)
async def swap(stage: Stage) -> str:
    # Its limits count pages wherever they are: in memory and in swap together it has no more.
    cost = await measure(stage, "O19 everything", stage.engine)
    if cost.most > memory.MEMORY + memory.SPARE:
        raise Succeeded(f"{cost.most / _MIB:.0f} MB in memory and swap")
    return f"{cost.most / _MIB:.0f} MB in memory and swap together"
