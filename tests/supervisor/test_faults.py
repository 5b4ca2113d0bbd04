"""Calls to the kernel that fail on the supervisor's side: a run ends, says why, and leaves nothing.

Every place that calls the kernel is found by runs in which nothing fails; then each of them fails.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
from collections.abc import Iterator
from errno import ENOSYS, EPERM
from typing import NamedTuple

import pytest

from llmspell_supervisor import Spell, Supervisor, SupervisorError
from llmspell_supervisor._cgroups import discover
from llmspell_supervisor._pool import NO_POOL
from tests.support.faults import ERRNOS, Fault, KernelCalls, kernel_calls
from tests.support.garbage import only_new_objects
from tests.support.processes import children, is_alive

SUPERVISOR = "llmspell_supervisor"
SPELL = Spell.from_text("console.log('here I am') return 1", "lua", "reached.lua")
AFTERWARDS = frozenset(
    {
        *("_worker.kill", "_worker.until_ended", "_strays.children"),
        *("_cgroups.peak_memory", "_cgroups.out_of_memory"),
        *("_zygotes.close", "_zygotes._kill", "_zygotes._reap_process", "_launch.last_words"),
    }
)
"""Where a worker or a zygote is ended and looked at: the verdict is there, and holds."""
TIDYING = frozenset({"_cgroups._remove_stale"})
"""Where what others have left is removed."""
DELEGATED = frozenset(
    {
        *("_cgroups.discover", "_cgroups._usable", "_cgroups.__init__", "_cgroups._limited"),
        "_cgroups._write",
    }
)
"""Where a host may say that it delegates no control group. Only these two are such an answer."""
REFUSALS = frozenset({EPERM, ENOSYS})


class Outcome(NamedTuple):
    """What came of one run."""

    ran: bool
    """Whether the script did anything."""
    verdict: str
    """That of the report, or of an error."""
    words: str
    group: str = ""


class Stage:
    """Runs by one supervisor, and what its scripts have said."""

    def __init__(self) -> None:
        self._said: list[object] = []
        self.supervisor = Supervisor(on_log=self._said.append, pool=NO_POOL)

    async def run(self) -> Outcome:
        self._said.clear()
        try:
            report = await self.supervisor.run(SPELL)
        except SupervisorError as error:
            return Outcome(bool(self._said), "supervisor_error", error.message)
        words = report.problem.message if report.problem else ""
        return Outcome(bool(self._said), report.verdict, words, report.layers.get("cgroup", ""))


async def whole(fault: Fault | None = None) -> tuple[KernelCalls, Outcome]:
    """A supervisor's life around one run."""
    stage = Stage()
    with kernel_calls(SUPERVISOR, fault) as calls:
        try:
            async with stage.supervisor:
                outcome = await stage.run()
        except SupervisorError as error:
            outcome = Outcome(False, "supervisor_error", error.message)
    return calls, outcome


async def one_more(stage: Stage, fault: Fault | None = None) -> tuple[KernelCalls, Outcome]:
    """A run by a supervisor that had one already."""
    with kernel_calls(SUPERVISOR, fault) as calls:
        return calls, await stage.run()


def function_of(place: str) -> str:
    return place.partition(":")[0]


def is_to_fail(place: str) -> bool:
    """Not close(2): what is open is closed, whatever it says."""
    return not place.endswith(" close")


def judge(place: str, code: int, usual: Outcome, calls: KernelCalls, outcome: Outcome) -> None:
    assert calls.hit, place
    function = function_of(place)
    if function in AFTERWARDS | TIDYING:
        assert outcome[:2] == (True, "ok"), (place, outcome)
    elif function in DELEGATED and code in REFUSALS:
        assert outcome[:2] == (True, "ok"), (place, outcome)
        assert outcome.group != usual.group or is_spare(function), place
    else:
        assert outcome[:2] == (False, "supervisor_error"), (place, outcome)
        assert os.strerror(code) in outcome.words, (place, outcome)


def is_spare(function: str) -> bool:
    """Whether that looks at a tree of which no worker joins a group: one that limits nothing."""
    return function == "_cgroups._usable" and all(h.version == 1 for h in discover())


@pytest.fixture(autouse=True)
def collections_are_quick() -> Iterator[None]:
    """There is one after each call that fails."""
    with only_new_objects():
        yield


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def living_children() -> list[int]:
    """Ours, without those that have ended and that we were not allowed to reap."""
    found = children(os.getpid())
    for pid in found:
        os.waitpid(pid, os.WNOHANG)
    return [pid for pid in found if is_alive(pid)]


def groups(stage: Stage) -> list[str]:
    """The control groups of its workers."""
    own = (path for _, path in stage.supervisor._cgroups._own)
    return [e.path for path in own for e in os.scandir(path) if e.is_dir()]


@pytest.mark.parametrize("shift", range(len(ERRNOS)))
def test_a_supervisor_that_cannot_start_runs_nothing_and_leaves_nothing(shift: int) -> None:
    async def scenario() -> None:
        stage = Stage()
        async with stage.supervisor:
            await stage.run()
            later, _ = await one_more(stage)
        first, usual = await whole()
        before = descriptors()
        places = [p for p in first.seen if p not in later.seen and is_to_fail(p)]
        assert len(places) > 10
        for place, code in zip(places, codes(shift), strict=False):
            judge(place, code, usual, *await whole(Fault(place, code)))
            assert (descriptors(), living_children()) == (before, []), place

    asyncio.run(scenario())


@pytest.mark.parametrize("shift", range(len(ERRNOS)))
def test_a_run_whose_supervisor_is_refused_a_call_ends_and_the_next_one_is_well(shift: int) -> None:
    async def scenario() -> None:
        stage = Stage()
        async with stage.supervisor:
            await stage.run()
            calls, usual = await one_more(stage)
            before = descriptors()
            places = [p for p in calls.seen if is_to_fail(p)]
            assert len(places) > 10
            for place, code in zip(places, codes(shift), strict=False):
                judge(place, code, usual, *await one_more(stage, Fault(place, code)))
                assert (await stage.run())[:2] == (True, "ok"), place
                assert groups(stage) == [], place
                assert descriptors() == before, place

    asyncio.run(scenario())


def codes(shift: int) -> Iterator[int]:
    """Each errno in turn, beginning with another one each time."""
    return itertools.islice(itertools.cycle(ERRNOS), shift, None)
