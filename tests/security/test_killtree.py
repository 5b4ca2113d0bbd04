"""Nothing that a worker has started outlives it: 64 daemons, where its walls let it make them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from llmspell_harness._canaries import Canaries
from llmspell_harness._stage import Stage
from llmspell_harness.hosts import _trees
from llmspell_supervisor import _strays

GENEROUS = 1.0
"""Seconds for what takes 0.03, on a machine with other work."""


def test_a_tree_of_daemons_is_gone_after_the_kill_of_its_worker() -> None:
    async def scenario() -> float:
        async with Canaries() as canaries, Stage(canaries, skip=_trees.FORKING) as stage:
            return await _trees.after_a_kill(stage)

    assert asyncio.run(scenario()) < GENEROUS


def test_a_tree_of_daemons_is_gone_after_the_sigkill_of_its_supervisor() -> None:
    assert asyncio.run(_trees.after_sigkill()) < GENEROUS


def test_one_zygote_outlives_many_trees_and_keeps_none_of_their_dead() -> None:
    async def scenario() -> int:
        async with Canaries() as canaries, Stage(canaries, skip=_trees.FORKING) as stage:
            for _ in range(3):
                await _trees.after_a_kill(stage)
            async with stage.neighbour("lua"):
                (zygote,) = _trees.zygotes(os.getpid())
                while (left := len(_strays.children(zygote))) != 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # /proc tells nobody
                return left

    assert asyncio.run(asyncio.wait_for(scenario(), 20)) == 1


def test_only_a_child_of_the_zygote_is_killed_as_a_stray() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        assert _strays.kill(os.getppid(), {stranger.pid}) == []
        stranger.communicate(b"\n")
        assert stranger.returncode == 0


def test_a_child_is_killed_as_a_stray() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        (pidfd,) = _strays.kill(os.getpid(), {child.pid})
        os.close(pidfd)
        assert child.wait() == -signal.SIGKILL
