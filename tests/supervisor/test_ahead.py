"""A worker that was asked for before there was a supervisor: who gets it, and that it never stays."""

from __future__ import annotations

import asyncio
import os

import pytest

from llmspell_supervisor import Policy, RunReport, Spell, Supervisor
from llmspell_supervisor._ahead import Ahead
from llmspell_supervisor._policy import MIB

SPELL = Spell.from_text("return 6 * 7", "lua", "answer.lua")
NARROW = Policy(memory=64 * MIB)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


async def runs(ahead: Ahead, *policies: Policy) -> list[RunReport]:
    async with Supervisor(ahead=ahead) as supervisor:
        return [await supervisor.run(SPELL, policy=policy) for policy in policies]


@pytest.mark.parametrize("policies", [(Policy(),), (Policy(), Policy()), (NARROW,), ()])
def test_a_supervisor_takes_over_what_was_begun_and_leaves_none_of_it(
    policies: tuple[Policy, ...],
) -> None:
    before = descriptors()
    with Ahead("lua", Policy()) as ahead:
        pid = ahead.launched.pid
        reports = asyncio.run(runs(ahead, *policies))
    assert [(report.verdict, report.value) for report in reports] == [("ok", 42)] * len(policies)
    assert ahead.taken == bool(policies)
    assert not os.path.exists(f"/proc/{pid}")
    assert descriptors() <= before


def test_the_first_run_gets_the_worker_that_was_asked_for() -> None:
    with Ahead("lua", Policy()) as ahead:
        worker = ahead.asked.read_fd, ahead.asked.write_fd
        ends = {os.readlink(f"/proc/self/fd/{fd}") for fd in worker}

        async def first() -> set[str]:
            async with Supervisor(ahead=ahead, on_log=lambda _: held.update(pipes())) as supervisor:
                await supervisor.run(Spell.from_text("console.log(1)", "lua", "a.lua"))
            return held

        held: set[str] = set()
        assert ends <= asyncio.run(first())


def test_what_no_supervisor_takes_over_is_gone_at_the_end() -> None:
    before = descriptors()
    with Ahead("javascript", Policy()) as ahead:
        pid = ahead.launched.pid
    assert not os.path.exists(f"/proc/{pid}")
    assert descriptors() <= before


def test_a_run_of_another_engine_or_isolation_leaves_it_alone() -> None:
    with Ahead("javascript", Policy()) as ahead:
        (report,) = asyncio.run(runs(ahead, Policy()))
        assert (report.value, ahead.taken) == (42, False)


def pipes() -> set[str]:
    found = set()
    for fd in descriptors():
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:  # the one of the listing itself
            continue
    return found
