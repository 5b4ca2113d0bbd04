"""Who may run: so many at once, and tenants that take turns."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from llmspell_supervisor import Admission, Busy, Spell, Supervisor, SupervisorError
from llmspell_supervisor._admission import Gate


class Runs:
    """Runs of tenants, which go on until they are told to end."""

    def __init__(self, running: int, waiting: int = 100) -> None:
        self.gate = Gate(Admission(running, waiting))
        self.began: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str) -> None:
        """`a1` is a run of tenant `a`."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._run(name))
        await self.settle()

    async def _run(self, name: str) -> None:
        async with self.gate.turn(name[0]):
            self.began.append(name)
            await self._ends[name].wait()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await self.settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):  # turns of the loop, until nothing moves
            await asyncio.sleep(0)

    async def end_all(self) -> None:
        for end in self._ends.values():
            end.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def play(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_so_many_run_at_once_and_the_others_wait() -> None:
    async def scenario() -> None:
        runs = Runs(running=2)
        await runs.begin("a1", "a2", "a3", "a4")
        assert runs.began == ["a1", "a2"]
        assert runs.gate.waiting == 2
        await runs.end("a2")
        assert runs.began == ["a1", "a2", "a3"]
        await runs.end_all()
        assert runs.began == ["a1", "a2", "a3", "a4"]
        assert runs.gate.waiting == 0

    play(scenario())


def test_a_tenant_with_one_run_does_not_wait_for_all_of_another() -> None:
    async def scenario() -> None:
        runs = Runs(running=1)
        await runs.begin("a1", "a2", "a3", "a4", "b1", "c1", "b2")
        for name in ("a1", "a2", "b1", "c1", "a3", "b2"):
            await runs.end(name)
        assert runs.began == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
        await runs.end_all()

    play(scenario())


def test_a_full_queue_is_an_error_at_once() -> None:
    async def scenario() -> None:
        runs = Runs(running=1, waiting=1)
        await runs.begin("a1", "a2")
        with pytest.raises(Busy, match="1 spells run and 1 wait, which is the limit"):
            async with runs.gate.turn("b"):
                pass
        await runs.end_all()

    play(scenario())


def test_a_run_that_is_cancelled_in_the_queue_gives_its_place_to_nobody_and_one_with_a_turn_does() -> (
    None
):
    async def scenario() -> None:
        runs = Runs(running=1)
        await runs.begin("a1", "a2", "b1")
        await runs.cancel("a2")
        assert runs.gate.waiting == 1
        await runs.cancel("a1")
        assert runs.began == ["a1", "b1"]
        await runs.begin("a3")
        runs._ends["b1"].set()
        await runs._tasks["b1"]  # a3 has its turn, and has not run since
        await runs.cancel("a3")
        await runs.begin("b2")
        assert runs.began[-1] == "b2"
        await runs.end_all()

    play(scenario())


@pytest.mark.parametrize(("running", "waiting"), [(0, 0), (-1, 5), (1, -1)])
def test_numbers_out_of_bounds_are_refused(running: int, waiting: int) -> None:
    with pytest.raises(ValueError, match="admission"):
        Admission(running, waiting)


def test_a_supervisor_runs_as_many_as_it_may_and_refuses_the_rest_by_name() -> None:
    spell = Spell.from_text("return params.n", "lua")

    async def scenario() -> None:
        async with Supervisor(admission=Admission(running=2, waiting=3)) as supervisor:
            runs = [supervisor.run(spell, params={"n": n}, tenant=f"{n % 2}") for n in range(8)]
            ended = await asyncio.gather(*runs, return_exceptions=True)
            values = [run.value for run in ended if not isinstance(run, BaseException)]
            refused = [run for run in ended if isinstance(run, BaseException)]
            assert values == [0, 1, 2, 3, 4]
            assert [type(error) for error in refused] == [Busy] * 3

    play(scenario())


def test_runs_that_wait_when_the_supervisor_closes_are_not_begun() -> None:
    endless = Spell.from_text("while true do end", "lua")

    async def scenario() -> None:
        async with Supervisor(admission=Admission(running=1)) as supervisor:
            tasks = [asyncio.create_task(supervisor.run(endless)) for _ in range(3)]
            while not supervisor._gate.waiting:  # noqa: ASYNC110 - the loop has no event for it
                await asyncio.sleep(0)
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert not isinstance(first, BaseException)
        assert first.verdict == "cancelled"
        assert [str(error) for error in others] == [
            "this supervisor is not open (use it inside 'async with')"
        ] * 2
        assert all(isinstance(error, SupervisorError) for error in others)

    play(scenario())
