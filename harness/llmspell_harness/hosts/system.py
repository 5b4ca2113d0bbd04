"""Attacks on the operating system that show outside the worker: what outlives it, or is like it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmspell_protocol import control
from llmspell_supervisor import _strays
from llmspell_supervisor._cgroups import Cgroups
from llmspell_supervisor._worker import until_ended
from llmspell_supervisor._zygotes import Zygote

from .._attack import BOTH, NATIVE, Succeeded, host
from .._stage import Stage
from . import _trees

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_TREES: Final = 20
_DOOMED: Final = 5
"""Whole supervisors, half a second each."""
_LATE: Final = 1.0
"""Seconds after its deadline by which a spell must have ended, on the busiest of hosts."""
_UNFILTERED: Final = frozenset({"seccomp", "zygote_seccomp", "rlimits_closed"})
_ENOUGH: Final = 200
"""Tries to get one number, while others of the host take numbers, too."""
_A_WHILE: Final = 0.02
"""Seconds in which a signal would have killed."""
_OPTIONS: Final = control.WorkerOptions(memory=256 << 20, heap=128 << 20, cpu_seconds=5)
_LAST_PID: Final = Path("/proc/sys/kernel/ns_last_pid")
_WORKER_SCORE: Final = 1000


@host("O04", "a tree of daemons, after the kill and after the end of the supervisor")
async def survivors(stage: Stage) -> str:
    try:
        async with Stage(stage.canaries, skip=_trees.FORKING) as forking:
            killed = [await _trees.after_a_kill(forking) for _ in range(_TREES)]
        orphaned = [await _trees.after_sigkill() for _ in range(_DOOMED)]
    except TimeoutError as error:
        raise Succeeded(str(error)) from None
    return (
        f"{_trees.SIZE} daemons were gone after a kill in {_trees.summary(killed)}; "
        f"after the SIGKILL of their supervisor in {_trees.summary(orphaned)}"
    )


@host("O04", "a neighbour of such a tree")
async def tree_neighbour(stage: Stage) -> str:
    others = _children()
    async with (
        Stage(stage.canaries, skip=_trees.FORKING) as forking,
        forking.neighbour("lua") as other,
    ):
        while not _children() - others:  # noqa: ASYNC110 - /proc tells nobody
            await asyncio.sleep(_A_WHILE)
        await _trees.after_a_kill(forking)
        if other.done():
            raise Succeeded("it was killed with the tree")
        report = await forking.run("return 1", "lua")
        if report.verdict != "ok":
            raise Succeeded(f"the next spell of that zygote ended with {report.verdict}")
    return "it lives on, and the zygote serves"


async def _against_the_clock(stage: Stage, key: str) -> str:
    """Run an attack that has every freedom, and see that the clock ends it."""
    words = []
    attacks = [a for a in NATIVE.values() if a.id == key and a.holds]
    async with Stage(stage.canaries, skip=_UNFILTERED) as free:
        await free.run("return 1", stage.engine)  # its zygote has started
        for attack in attacks:
            began = time.monotonic()
            report = await free.run(attack.key, stage.engine, policy=attack.policy)
            late = time.monotonic() - began - attack.policy["timeout"]
            if report.verdict not in attack.holds or late > _LATE:
                raise Succeeded(f"{attack.name}: {report.verdict}, {late * 1000:.0f} ms late")
            words.append(f"{attack.name}: {report.verdict}")
        report = await free.run("return 1", stage.engine)
        if report.verdict != "ok":
            raise Succeeded(f"the next spell of that zygote ended with {report.verdict}")
    return ", ".join(words)


@host("O34", "signals against the clock, without any filter", engines=BOTH)
async def unfiltered_signals(stage: Stage) -> str:
    return await _against_the_clock(stage, "O34")


@host("O35", "a worker that cannot be reaped, without any filter", engines=BOTH)
async def unfiltered_holds(stage: Stage) -> str:
    return await _against_the_clock(stage, "O35")


@host("O36", "another process under the number of a dead worker")
async def recycled_number(stage: Stage) -> str:
    del stage
    zygote = Zygote("lua", Cgroups(), strict=False)
    try:
        async with zygote.worker(_OPTIONS) as worker:
            number = worker.number_on_host
            worker.kill()
            await worker.exited
            with _bystander(number) as pidfd:
                if pidfd is None:
                    return "killed by pidfd; to recycle a number takes root"
                worker.kill()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until_ended(pidfd), _A_WHILE)
                    raise Succeeded("the bystander was killed")
    finally:
        await zygote.close()
    return f"process {number} was another one by then, and lives"


@contextlib.contextmanager
def _bystander(number: int) -> Iterator[int | None]:
    """The pidfd of a process of that very number; None where we may not choose it."""
    pid = _fork_as(number)
    if pid is None:
        yield None
        return
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)


def _fork_as(number: int) -> int | None:
    for _ in range(_ENOUGH):
        try:
            _LAST_PID.write_text(str(number - 1))
        except OSError:
            return None
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        if pid == number:
            return pid
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


def _children() -> set[int]:
    """Every process that a zygote of ours has."""
    return {pid for z in _trees.zygotes(os.getpid()) for pid in _strays.children(z)}


@contextlib.asynccontextmanager
async def _worker(stage: Stage) -> AsyncIterator[int]:
    """A worker that waits, as the host numbers it."""
    async with Stage(stage.canaries) as own:
        others = _children()
        async with own.neighbour(stage.engine), asyncio.timeout(_trees.PATIENCE):
            while not (new := _children() - others):  # noqa: ASYNC110 - /proc tells nobody
                await asyncio.sleep(_A_WHILE)
            yield new.pop()


def _score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@host("O41", "who dies first when the machine has no memory left", engines=BOTH)
async def first_victim(stage: Stage) -> str:
    async with _worker(stage) as pid:
        worker = _score(pid)
    ours = _score(os.getpid())
    if worker < _WORKER_SCORE or ours >= worker:
        raise Succeeded(f"the worker's score is {worker}, ours {ours}")
    return f"the worker: its score is {worker}, the supervisor's {ours}"


_RANDOM: Final = {
    "lua": "return {math.random(0), math.random(0), util.uuid()}",
    "javascript": "return [Math.random(), Math.random(), util.uuid()]",
}


@host("O43", "the random numbers of a sibling", engines=BOTH)
async def siblings(stage: Stage) -> str:
    reports = [await stage.run(_RANDOM[stage.engine], stage.engine) for _ in range(3)]
    seen = [str(value) for report in reports for value in report.value]
    if len(set(seen)) != len(seen):
        raise Succeeded(f"two workers of a zygote drew the same: {seen}")
    return "each worker draws its own; their memory layout is their zygote's"


_STEPS: Final = """
local least = 1
for _ = 1, 20 do
  local now, later = os.clock()
  repeat later = os.clock() until later > now
  if later - now < least then least = later - now end
end
return least
"""


@host("O38", "how finely a spell can measure time")
async def clock(stage: Stage) -> str:
    report = await stage.run(_STEPS, "lua")
    if report.verdict != "ok":
        raise Succeeded(f"it ended with {report.verdict}")
    return f"in steps of {report.value * 1e6:.3g} microseconds, which is accepted"
