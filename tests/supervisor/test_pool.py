"""Workers that wait: as many as demand is for, each for one spell, and none that is left over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llmspell_supervisor import Policy, PoolSize, RunReport, Spell, Supervisor
from llmspell_supervisor import _pool as pool_module
from llmspell_supervisor import _zygotes as zygotes_module
from llmspell_supervisor._pool import Pool, _Shelf
from llmspell_supervisor._run import Run
from llmspell_supervisor._worker import Worker
from llmspell_supervisor._zygotes import Zygote
from tests.supervisor.scripted import until

ENGINES = pytest.mark.parametrize("engine", ["lua", "javascript"])


def spell(source: str, engine: str = "lua") -> Spell:
    return Spell.from_text(source, engine, "spell")


def zygote_of(supervisor: Supervisor, engine: str = "lua") -> Zygote:
    return supervisor._zygotes[engine, True]


def shelf_of(supervisor: Supervisor, engine: str = "lua") -> _Shelf:
    (shelf,) = zygote_of(supervisor, engine)._pool._shelves.values()
    return shelf


def play(
    scenario: Callable[[Supervisor], Coroutine[Any, Any, None]], size: PoolSize | None = None
) -> None:
    async def main() -> None:
        async with Supervisor(pool=size) as supervisor:
            await scenario(supervisor)

    asyncio.run(main())


async def ready(shelf: _Shelf, count: int) -> None:
    await until(lambda: len(shelf.ready) == count and not shelf.coming)


# --- what a run gets ------------------------------------------------------------------------------


@ENGINES
def test_the_second_run_finds_a_worker_that_waits(engine: str) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.run(spell("return 1", engine))
        shelf = shelf_of(supervisor, engine)
        await ready(shelf, 1)
        waiting = shelf.ready[0]
        report = await supervisor.run(spell("return 2", engine))
        assert report.value == 2
        assert waiting.exited.done()
        assert waiting not in shelf.ready

    play(scenario)


class Watched(Run):
    """Notes which worker each run had."""

    workers: list[int]

    def _open(self, worker: Worker) -> None:
        Watched.workers.append(worker.number_on_host)
        super()._open(worker)


@ENGINES
def test_no_two_spells_ever_share_a_worker(engine: str) -> None:
    keep = {
        "lua": "local before = kept kept = params.n return before",
        "javascript": "const before = globalThis.kept ?? null; globalThis.kept = params.n; return before",
    }[engine]
    Watched.workers = []

    async def scenario(supervisor: Supervisor) -> None:
        supervisor._run_type = Watched
        for _ in range(4):
            runs = (supervisor.run(spell(keep, engine), params={"n": n}) for n in range(1, 11))
            reports = await asyncio.gather(*runs)
            assert [report.value for report in reports] == [None] * 10
        assert shelf_of(supervisor, engine).wanted > 0  # and the pool was at work
        assert len(set(Watched.workers)) == len(Watched.workers) == 40

    play(scenario, PoolSize(low=2))


def test_a_worker_is_for_the_limits_that_it_was_locked_with() -> None:
    async def memory(supervisor: Supervisor, size: int) -> RunReport:
        fill = "local t = {} for i = 1, params.n do t[i] = ('x'):rep(1048576) .. i end return #t"
        policy = Policy(memory=size << 20)
        return await supervisor.run(spell(fill), params={"n": 80}, policy=policy)

    async def scenario(supervisor: Supervisor) -> None:
        for _ in range(2):
            assert (await memory(supervisor, 64)).verdict == "memory_limit"
            assert (await memory(supervisor, 256)).value == 80

    play(scenario, PoolSize(low=1))


def test_more_sets_of_limits_than_there_are_shelves_leave_the_last_ones() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        sizes = range(64, 64 + pool_module.SHELVES + 2)
        for size in sizes:
            await supervisor.run(spell("return 1"), policy=Policy(memory=size << 20))
        pool = zygote_of(supervisor)._pool
        kept = [options.memory >> 20 for options in pool._shelves]
        assert kept == list(sizes)[-pool_module.SHELVES :]
        await until(lambda: not pool._ends)
        waiting = sum(shelf.count for shelf in pool._shelves.values())
        assert len(zygote_of(supervisor)._workers) == waiting

    play(scenario, PoolSize(low=1))


def test_without_a_pool_nobody_waits() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        assert (await supervisor.run(spell("return 1"))).value == 1
        assert zygote_of(supervisor)._workers == {}

    play(scenario, pool_module.NO_POOL)


# --- how many -------------------------------------------------------------------------------------


def test_a_burst_raises_the_number_that_waits_up_to_the_high_mark() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await asyncio.gather(*(supervisor.run(spell("return 1")) for _ in range(12)))
        shelf = shelf_of(supervisor)
        assert shelf.wanted == 4
        await ready(shelf, 4)

    play(scenario, PoolSize(low=1, high=4))


def test_what_nobody_needs_goes_down_to_the_low_mark_and_then_nothing_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "PERIOD", 0.01)

    async def scenario(supervisor: Supervisor) -> None:
        await asyncio.gather(*(supervisor.run(spell("return 1")) for _ in range(12)))
        shelf = shelf_of(supervisor)
        await until(lambda: shelf.wanted == 1 and shelf.timer is None)
        await ready(shelf, 1)
        await until(lambda: len(zygote_of(supervisor)._workers) == 1)

    play(scenario, PoolSize(low=1, high=8))


def test_a_pool_that_may_be_empty_ends_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "PERIOD", 0.01)

    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.run(spell("return 1"))
        shelf = shelf_of(supervisor)
        await until(lambda: shelf.wanted == 0 and shelf.timer is None)
        await until(lambda: zygote_of(supervisor)._workers == {})

    play(scenario, PoolSize(low=0, high=8))


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (3, 2)])
def test_marks_that_cross_are_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="0 <= low <= high"):
        PoolSize(low, high)


# --- what dies ------------------------------------------------------------------------------------


def test_a_worker_that_dies_while_it_waits_is_given_to_nobody() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.run(spell("return 1"))
        shelf = shelf_of(supervisor)
        await ready(shelf, 1)
        worker = shelf.ready[0]
        signal.pidfd_send_signal(worker._pidfd, signal.SIGKILL)
        await until(lambda: not shelf.ready)
        assert (await supervisor.run(spell("return 2"))).value == 2

    play(scenario, PoolSize(low=1, high=1))


def test_workers_that_cannot_be_forked_for_the_pool_end_no_run() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.run(spell("return 1"))
        zygote = zygote_of(supervisor)
        await ready(shelf_of(supervisor), 1)
        os.kill(zygote._first or 0, signal.SIGKILL)
        shelf = shelf_of(supervisor)
        await until(lambda: not shelf.ready)
        assert zygote._pool.take(shelf.options) is None
        await until(lambda: shelf.refill is None)
        assert not shelf.coming
        assert (await supervisor.run(spell("return 2"))).value == 2

    play(scenario, PoolSize(low=1))


def test_a_closed_pool_has_nothing_and_gives_nothing() -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.run(spell("return 1"))
        zygote = zygote_of(supervisor)
        pool: Pool = zygote._pool
        options = shelf_of(supervisor).options
        await pool.close()
        assert zygote._workers == {}
        assert pool.take(options) is None
        assert (await supervisor.run(spell("return 2"))).value == 2

    play(scenario, PoolSize(low=2))


# --- zygotes that are replaced --------------------------------------------------------------------


def test_a_worn_zygote_is_replaced_without_a_gap_and_ends_with_its_last_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        gate = asyncio.Event()
        supervisor._on_log = lambda _: gate.set()
        long = asyncio.create_task(
            supervisor.run(spell("console.log('up') while not done do util.sleep(60000) end"))
        )
        await gate.wait()
        old = zygote_of(supervisor)
        monkeypatch.setattr(zygotes_module, "FORKS", 1)
        assert (await supervisor.run(spell("return 1"))).value == 1
        assert zygote_of(supervisor) is old  # while its heir starts
        heir = supervisor._heirs["lua", True]
        await heir.start()
        monkeypatch.setattr(zygotes_module, "FORKS", 1000)
        old._forks = 1000
        assert (await supervisor.run(spell("return 2"))).value == 2
        assert zygote_of(supervisor) is heir
        assert not old.dead
        supervisor.cancel_all()
        assert (await long).verdict == "cancelled"
        await until(lambda: old.gone)
        assert supervisor._heirs == {}

    play(scenario)


def test_a_zygote_is_worn_by_its_forks_and_by_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.run(spell("return 1"))
        zygote = zygote_of(supervisor)
        assert not zygote.worn
        zygote._since -= zygotes_module.AGE
        assert zygote.worn

    play(scenario)
