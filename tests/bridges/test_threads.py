"""Blocking work in threads: bounded, and told when its call is given up."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llmspell_bridges import _threads
from llmspell_bridges._threads import GivenUp, Job, Threads


def test_results_and_errors_come_back() -> None:
    def fail(_: Job) -> None:
        raise LookupError("gone")

    async def main() -> None:
        threads = Threads()
        assert await threads.run(lambda _: threading.current_thread().name) == "bridge"
        with pytest.raises(LookupError, match="gone"):
            await threads.run(fail)

    asyncio.run(main())


@pytest.mark.attack("B27")
def test_a_call_that_is_given_up_waits_for_its_thread_to_stop() -> None:
    begun, stopped = threading.Event(), threading.Event()
    undone: list[bool] = []

    def work(job: Job) -> None:
        job.on_give_up(stopped.set)
        begun.set()
        stopped.wait(20)
        undone.append(job.given_up)
        job.check()

    async def main() -> None:
        call = asyncio.create_task(Threads().run(work))
        await asyncio.to_thread(begun.wait, 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert undone == [True]

    asyncio.run(main())


@pytest.mark.attack("B27")
def test_a_call_that_is_given_up_twice_waits_all_the_same() -> None:
    """As when its time is over in the moment in which its run ends."""
    begun, told, stopped = threading.Event(), threading.Event(), threading.Event()
    ended: list[bool] = []

    def work(job: Job) -> None:
        job.on_give_up(told.set)
        begun.set()
        stopped.wait(20)
        ended.append(True)
        job.check()

    async def main() -> None:
        call = asyncio.create_task(Threads().run(work))
        await asyncio.to_thread(begun.wait, 20)
        call.cancel()
        await asyncio.to_thread(told.wait, 20)
        call.cancel()
        asyncio.get_running_loop().call_soon(stopped.set)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert ended == [True]

    asyncio.run(main())


def test_work_that_begins_too_late_is_told_at_once() -> None:
    job = Job()
    job.give_up()
    with pytest.raises(GivenUp):
        job.on_give_up(lambda: None)
    with pytest.raises(GivenUp):
        job.check()


def test_a_thread_that_does_not_stop_is_left_behind_and_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_threads, "STOP_GRACE", 0.01)
    begun, end = threading.Event(), threading.Event()

    def stubborn(_: Job) -> None:
        begun.set()
        end.wait(20)

    async def main() -> None:
        threads = Threads(most=1)
        call = asyncio.create_task(threads.run(stubborn))
        await asyncio.to_thread(begun.wait, 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        after = asyncio.create_task(threads.run(lambda _: 1))
        done, _ = await asyncio.wait([after], timeout=0.05)
        assert not done
        end.set()
        assert await after == 1

    asyncio.run(main())
