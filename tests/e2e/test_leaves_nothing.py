"""However a run ends, no process, descriptor or control group of ours is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from llmspell_supervisor import Policy, PoolSize, Spell, Supervisor
from tests.support.processes import children, is_alive

ENDLESS = {
    "lua": "console.log('up') while true do end",
    "javascript": "console.log('up'); while (true);",
}

PROGRAM = """
import asyncio, sys
from llmspell_supervisor import Policy, Spell, Supervisor
async def main():
    async with Supervisor(on_log=lambda entry: print(entry.text, flush=True)) as supervisor:
        spell = Spell.from_text(sys.argv[2], sys.argv[1])
        await supervisor.run(spell, policy=Policy(cpu=60, timeout=60))
asyncio.run(main())
"""


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    found: set[int] = set()
    queue = [pid]
    while queue:
        below = children(queue.pop())
        found.update(below)
        queue += below
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    return {pid for pid in pids if is_alive(pid)}


@pytest.mark.undisturbed
@pytest.mark.parametrize("engine", ["lua", "javascript"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_supervisor_leaves_no_process_after_one_second(
    engine: str, number: signal.Signals
) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, engine, ENDLESS[engine]],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert supervisor.stdout is not None
    with supervisor:
        assert supervisor.stdout.readline() == b"up\n"
        below = descendants(supervisor.pid)
        assert len(below) >= 3  # the outer process, the zygote, the worker
        supervisor.send_signal(number)
        supervisor.wait()
        deadline = time.monotonic() + 1.0
        while alive(below) and time.monotonic() < deadline:
            os.sched_yield()
        assert not alive(below)


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_cancelled_task_leaves_no_worker(engine: str) -> None:
    async def scenario() -> set[int]:
        started = asyncio.Event()
        none = PoolSize(low=0, high=0)  # or what is asked for a pool would come and go meanwhile
        async with Supervisor(on_log=lambda _: started.set(), pool=none) as supervisor:
            spell = Spell.from_text(ENDLESS[engine], engine)
            task = asyncio.create_task(supervisor.run(spell, policy=Policy(cpu=60)))
            await started.wait()
            before = descendants(os.getpid())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return before - descendants(os.getpid())

    assert len(asyncio.run(scenario())) == 1  # the worker, and only it
    assert not alive(descendants(os.getpid()))


@pytest.mark.parametrize("waiting", [0, 1, 3])
def test_many_runs_leak_no_descriptor(waiting: int) -> None:
    async def scenario() -> tuple[int, int]:
        async with Supervisor(pool=PoolSize(low=waiting, high=waiting)) as supervisor:
            spell = Spell.from_text("return 1", "lua")
            await supervisor.run(spell)
            before = await held(supervisor, waiting)
            for _ in range(20):
                assert (await supervisor.run(spell)).value == 1
            return before, await held(supervisor, waiting)

    async def held(supervisor: Supervisor, waiting: int) -> int:
        shelves = supervisor._zygotes["lua", True]._pool._shelves.values()
        while sum(len(shelf.ready) for shelf in shelves) < waiting:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return len(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(scenario())
    assert before == after
