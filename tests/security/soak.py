"""Hostile and healthy spells mixed, workers and zygotes killed at random, and nothing is left.

`make soak` runs ten thousand; the suite runs a few hundred. A seed repeats the order of spells and
kills, though not their timing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from llmspell_bridges.llm import _library
from llmspell_harness._attack import Host, Native, Peer
from llmspell_harness._canaries import Canaries
from llmspell_harness._stage import Stage
from llmspell_harness._suite import declared
from llmspell_harness._trial import resident
from llmspell_supervisor import RunReport, SupervisorError
from llmspell_supervisor._zygotes import Zygote

RUNS: Final = 10_000
AT_ONCE: Final = 8
"""Runs in flight: four for each core of a small machine."""
LIMITS: Final[dict[str, Any]] = {"timeout": 1.0, "cpu": 0.3, "memory": 96 << 20}
KILL_WORKER_EVERY: Final = 25
"""Runs between two kills of some worker, on average."""
KILL_ZYGOTE_EVERY: Final = 400
WARM_UP: Final = 0.2
"""Share of the runs after which memory is expected to be flat: imports, pools of the allocator."""
SLOPE: Final = 1 << 20
"""Bytes per thousand runs by which the supervisor may grow."""

_HEALTHY: Final = {
    "lua": "local t = {} for i = 1, 200 do t[i] = i * params.n end console.log(params.n)"
    " return {sum = params.n * 3, list = t}",
    "javascript": "const t = Array.from({length: 200}, (_, i) => (i + 1) * params.n);"
    " console.log(params.n); await util.sleep(1); return {sum: params.n * 3, list: t};",
}
_BAD: Final = (
    ("lua", "while true do end"),
    ("lua", "local t = {} while true do t[#t + 1] = string.rep('x', 10000) .. #t end"),
    ("lua", "error({a = 1})"),
    ("lua", "for i = 1, 1e9 do console.log(i) end"),
    ("lua", "return {{"),
    ("javascript", "while (true);"),
    ("javascript", "const t = []; while (true) t.push(new Array(1000).fill(t.length));"),
    ("javascript", "Promise.reject(new Error('x')); await util.sleep(5)"),
    ("javascript", "for (;;) console.log('x')"),
    ("javascript", "return {"),
)


@dataclass
class Soak:
    """What happened, and what is held against it."""

    runs: int
    seed: int
    say: Callable[[str], None]
    verdicts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    """Healthy spells that nobody killed and that did not return their value."""
    killed: set[int] = field(default_factory=set)
    """Numbers of runs whose worker we killed, or whose zygote."""
    zygotes_killed: int = 0
    dying: list[Zygote] = field(default_factory=list)
    """Zygotes that we killed, until the supervisor has noticed: workers of theirs may still be given out."""
    samples: list[tuple[int, int]] = field(default_factory=list)
    """Runs done, and bytes resident."""
    leaks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def slope(self) -> float:
        """Bytes per thousand runs: the least-squares line through the samples after warming up."""
        points = [(n, size) for n, size in self.samples if n >= self.runs * WARM_UP]
        if len(points) < 2:
            return 0.0
        mean_n = sum(n for n, _ in points) / len(points)
        mean_size = sum(size for _, size in points) / len(points)
        over = sum((n - mean_n) * (size - mean_size) for n, size in points)
        return 1000 * over / sum((n - mean_n) ** 2 for n, _ in points)

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, nothing leaked, and memory stayed flat."""
        return not self.lost and not self.leaks and self.slope < SLOPE

    def summary(self) -> list[str]:
        """Lines that can be quoted."""
        counts = ", ".join(f"{verdict} {n}" for verdict, n in self.verdicts.most_common())
        return [
            f"{self.verdicts.total()} of {self.runs} runs in {self.seconds:.0f} s, seed {self.seed}",
            f"verdicts: {counts}",
            f"killed from outside: {len(self.killed)} workers, {self.zygotes_killed} zygotes",
            f"memory: {self.slope / 1024:.0f} KiB per thousand runs",
            f"lost: {self.lost[:5] or 'none'}; leaked: {self.leaks or 'nothing'}",
        ]


async def soak(runs: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Soak:
    """Run it. What it finds is in what it returns."""
    result = Soak(runs, seed, say)
    chance = random.Random(seed)  # noqa: S311 - a mixture, not a secret
    began = time.monotonic()
    with _own_folder():
        await _watched(result, chance)
    result.seconds = time.monotonic() - began
    return result


@contextlib.contextmanager
def _own_folder() -> Iterator[None]:
    """A temporary folder that nobody else writes to, so that what is left in it is ours."""
    with tempfile.TemporaryDirectory() as folder:
        usual, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        finally:
            tempfile.tempdir = usual


async def _watched(result: Soak, chance: random.Random) -> None:
    # What the first spell that mentions `llm` would begin in the background, and have open meanwhile.
    await _library.litellm()
    async with Canaries() as canaries:
        before = _held()
        async with Stage(canaries) as stage:
            await _play(stage, result, chance)
        result.leaks = [
            f"{what}: {count} before, {after} after"
            for (what, count), after in zip(before.items(), _held().values(), strict=True)
            if after > count
        ]


async def _play(stage: Stage, result: Soak, chance: random.Random) -> None:
    attacks = [
        (attack, engine)
        for attack, engine in declared()
        if not isinstance(attack, Host) and not (isinstance(attack, Peer) and attack.early)
    ]
    turns = asyncio.Semaphore(AT_ONCE)
    tasks: set[asyncio.Task[None]] = set()
    for number in range(result.runs):
        await turns.acquire()
        task = asyncio.create_task(_one(stage, result, number, chance.random(), attacks, chance))
        task.add_done_callback(lambda _: turns.release())
        task.add_done_callback(tasks.discard)
        tasks.add(task)
        if chance.random() < 1 / KILL_WORKER_EVERY:
            _kill_a_worker(stage, result, chance)
        if chance.random() < 1 / KILL_ZYGOTE_EVERY:
            _kill_a_zygote(stage, result, chance)
        if number % 50 == 0:
            result.samples.append((number, resident()[0]))
        if number % 1000 == 999:
            result.say(f"{number + 1} runs, {result.samples[-1][1] >> 20} MiB")
    await asyncio.gather(*tasks)


async def _one(
    stage: Stage,
    result: Soak,
    number: int,
    kind: float,
    attacks: list[Any],
    chance: random.Random,
) -> None:
    params: dict[str, Any] = {"n": number}
    policy = dict(LIMITS)
    result.dying = [zygote for zygote in result.dying if not zygote.dead]
    if kind < 0.5:
        engine = chance.choice(("lua", "lua", "lua", "javascript"))
        source = _HEALTHY[engine]
    elif kind < 0.7:
        engine, source = chance.choice(_BAD)
    else:
        attack, engine = chance.choice(attacks)
        source = attack.key if isinstance(attack, Native | Peer) else attack.source
        params = stage.canaries.targets
        policy |= {"timeout": 0.5}
    if any(zygote.engine == engine for zygote in result.dying):
        result.killed.add(number)
    try:
        report = await stage.run(source, engine, params=params, policy=policy, name=f"#{number}")
    except SupervisorError as error:
        result.verdicts["supervisor_error"] += 1
        if kind < 0.5 and number not in result.killed:
            result.lost.append(f"#{number} {engine}: {error}")
        return
    result.verdicts[report.verdict] += 1
    if kind < 0.5 and number not in result.killed and not _is_whole(report, number):
        result.lost.append(f"#{number} {engine}: {report.verdict} {report.problem}")


def _is_whole(report: RunReport, number: int) -> bool:
    expected = {"sum": number * 3, "list": [i * number for i in range(1, 201)]}
    logs = [entry.text for entry in report.logs]
    return report.verdict == "ok" and report.value == expected and logs == [str(number)]


def _kill_a_worker(stage: Stage, result: Soak, chance: random.Random) -> None:
    runs = [run for run in stage.supervisor._runs if run._worker and run._worker._pidfd >= 0]
    if not runs:
        return
    run = chance.choice(runs)
    assert run._worker is not None
    result.killed.add(int(run._spell.name[1:]))
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        signal.pidfd_send_signal(run._worker._pidfd, signal.SIGKILL)


def _kill_a_zygote(stage: Stage, result: Soak, chance: random.Random) -> None:
    zygotes = [z for z in stage.supervisor._zygotes.values() if z._pidfd >= 0]
    if not zygotes:
        return
    zygote = chance.choice(zygotes)
    # Every run of that engine may be hit, those that are about to be forked included.
    result.killed |= {
        int(run._spell.name[1:])
        for run in stage.supervisor._runs
        if run._spell.engine == zygote.engine
    }
    result.zygotes_killed += 1
    result.dying.append(zygote)
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(zygote._pidfd, signal.SIGKILL)


def _held() -> dict[str, int]:
    """What a leak would add to."""
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(_descendants(os.getpid())),
        "temporary files": len(os.listdir(tempfile.gettempdir())),
        "control groups": sum(1 for _ in _groups()),
    }


def _descendants(pid: int) -> list[int]:
    try:
        below = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return below + [deeper for each in below for deeper in _descendants(each)]


def _groups() -> list[Path]:
    """Control groups of this process's supervisors, in every hierarchy."""
    # Not by `rglob`, which fails when a group of somebody else's goes while it looks.
    return [
        Path(folder) / name
        for folder, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(f"llmspell-{os.getpid()}-")
    ]


def main() -> int:
    """The command behind `make soak`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    result = asyncio.run(soak(arguments.runs, arguments.seed, lambda line: print(line, flush=True)))
    print("\n".join(result.summary()))
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
