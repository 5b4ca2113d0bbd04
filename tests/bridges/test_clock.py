"""The clock of one call: it runs while the call waits, and stands still while something holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import TypeVar

import pytest

from llmspell_bridges import BridgeError, off_the_clock
from llmspell_bridges._clock import within

T = TypeVar("T")
FOREVER = 3600.0
AT_ONCE = 0.0


def run(work: Awaitable[T], seconds: float = FOREVER) -> T:
    async def main() -> T:
        return await within(seconds, "test.call", work)

    return asyncio.run(main())


async def answer(turns: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return turns


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_what_is_done_in_time_is_handed_on(turns: int) -> None:
    assert run(answer(turns)) == turns


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_errors_are_handed_on_as_they_are(turns: int) -> None:
    async def fail() -> None:
        await answer(turns)
        raise TimeoutError("of the call's own making")

    with pytest.raises(TimeoutError, match="own making"):
        run(fail())


def test_a_call_that_does_not_wait_has_no_clock() -> None:
    async def look() -> list[object]:
        loop = asyncio.get_running_loop()
        return list(loop._scheduled)  # type: ignore[attr-defined]

    assert run(look()) == []


def test_a_call_that_waits_too_long_is_cancelled_and_told() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # cleaning up may wait as well
            ended.append("cleaned up")

    with pytest.raises(BridgeError) as caught:
        run(wait(), AT_ONCE)
    assert (caught.value.kind, caught.value.duration) == ("Timeout", AT_ONCE)
    assert caught.value.message == "test.call: no answer within 0 s"
    assert ended == ["cleaned up"]


def test_what_is_thrown_into_a_wait_arrives_where_it_waits() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def stubborn() -> str:
            for _ in range(3):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError as error:
                    seen.append(str(error))
            return "at last"

        task = asyncio.create_task(within(FOREVER, "test.call", stubborn()))
        for reason in ("one", "two", "three"):
            await asyncio.sleep(0)
            task.cancel(reason)
        assert await task == "at last"
        return seen

    assert asyncio.run(main()) == ["one", "two", "three"]


@pytest.mark.parametrize("turns", [0, 1])
def test_the_clock_stands_still_while_it_is_held(turns: int) -> None:
    async def load() -> str:
        await answer(turns)  # held in the first step, or later
        with off_the_clock():
            await answer(20)
        return "loaded"

    async def wait() -> None:
        await load()
        await asyncio.Event().wait()

    assert run(load(), AT_ONCE if turns == 0 else FOREVER) == "loaded"
    with pytest.raises(BridgeError, match="no answer within"):
        run(wait(), AT_ONCE if turns == 0 else 0.05)


def test_the_next_value_of_a_stream_is_bounded_as_well() -> None:
    async def values() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.Event().wait()

    async def main() -> None:
        stream = values()
        assert await within(AT_ONCE, "test.stream", anext(stream)) == 1
        with pytest.raises(BridgeError, match=r"test\.stream: no answer"):
            await within(AT_ONCE, "test.stream", anext(stream))

    asyncio.run(main())


def test_a_call_that_nobody_finishes_is_closed() -> None:
    closed: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append("closed")

    async def main() -> None:
        half = within(FOREVER, "test.call", wait())
        half.send(None)  # it waits
        half.close()

    asyncio.run(main())
    assert closed == ["closed"]
