"""The supervisor's end of the pipes: whole frames, back-pressure, and an end that is told once."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import Raw

from llmspell_protocol import (
    NEED_DATA,
    PROTOCOL_VERSION,
    Call,
    Connection,
    Log,
    Ready,
    Reply,
    Result,
    Role,
    Start,
    ValueRejected,
    WorkerLimits,
    pack,
)
from llmspell_supervisor._channel import LARGE, MOST_READ, Channel
from llmspell_supervisor._turns import Turns
from tests.supervisor.scripted import until

NULL = Raw(pack(None))
GETPIPE_SZ = 1032
START = Start("execute", "s", "", Raw(pack({})), {}, {}, WorkerLimits(0, 0, 0, 16))


class Ends:
    """A channel over real pipes, and the worker's ends of them."""

    def __init__(self) -> None:
        self.read_fd, their_out = os.pipe()
        their_in, self.write_fd = os.pipe()
        self.fds = {self.read_fd, self.write_fd, their_in, their_out}
        self.their_in, self.their_out = their_in, their_out
        for fd in self.fds:
            os.set_blocking(fd, False)
        self.heard: list[Any] = []
        self.ended: list[Any] = []
        self.host = Connection(Role.HOST)
        self.worker = Connection(Role.WORKER)
        self.channel = Channel(
            self.host, self.read_fd, self.write_fd, self.heard.append, self.ended.append, Turns()
        )

    def say(self, *messages: Any) -> None:
        os.write(self.their_out, b"".join(self.worker.send(m) for m in messages))

    def close(self, fd: int) -> None:
        self.fds.discard(fd)
        os.close(fd)

    def listen(self) -> list[Any]:
        """Every whole message that the host has written so far."""
        messages = []
        try:
            while data := os.read(self.their_in, 1 << 16):
                self.worker.receive_data(data)
                while (message := self.worker.next_message()) is not NEED_DATA:
                    messages.append(message)
        except BlockingIOError:
            pass
        return messages


@contextmanager
def open_ends() -> Iterator[Ends]:
    ends = Ends()
    try:
        yield ends
    finally:
        ends.channel.close()
        for fd in ends.fds:
            os.close(fd)


def on_a_loop(scenario: Callable[[Ends], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        with open_ends() as ends:
            await scenario(ends)

    asyncio.run(whole())


async def begun(ends: Ends, calls: int = 2) -> None:
    """Ready, Start, and some calls that wait for their answers."""
    ends.say(Ready(PROTOCOL_VERSION, "lua", "", {}))
    await until(lambda: ends.heard)
    await ends.channel.send(START)
    ends.listen()
    ends.say(*[Call(n, "a.b", Raw(pack([]))) for n in range(1, calls + 1)])
    await until(lambda: len(ends.heard) == 1 + calls)


def large(call: int) -> Reply:
    """An answer that no pipe holds."""
    return Reply(call, Raw(pack("x" * 3_000_000)))


def test_a_sender_waits_until_the_worker_reads() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        sending = asyncio.create_task(ends.channel.send(large(1)))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not sending.done()
        heard: list[Any] = []
        while not sending.done():
            heard += ends.listen()
            await asyncio.sleep(0)
        assert [*heard, *ends.listen()] == [large(1)]

    on_a_loop(scenario)


def test_a_pipe_grows_for_a_large_frame_and_for_no_other() -> None:
    def capacities(ends: Ends) -> tuple[int, int]:
        return fcntl.fcntl(ends.write_fd, GETPIPE_SZ), fcntl.fcntl(ends.read_fd, GETPIPE_SZ)

    async def scenario(ends: Ends) -> None:
        await begun(ends)
        usual = capacities(ends)
        await ends.channel.send(Reply(1, Raw(pack("x" * (usual[0] // 2)))))
        ends.listen()
        assert capacities(ends) == usual
        sending = asyncio.create_task(ends.channel.send(large(2)))
        while not sending.done():
            ends.listen()
            await asyncio.sleep(0)
        assert capacities(ends) == (MOST_READ, usual[1])
        result = memoryview(ends.worker.send(Result(Raw(pack("x" * 2 * LARGE)))))
        os.write(ends.their_out, result[: usual[1]])
        await until(lambda: capacities(ends)[1] == MOST_READ)
        os.write(ends.their_out, result[usual[1] :])
        await until(lambda: ends.heard[-1] == Result(Raw(pack("x" * 2 * LARGE))))

    on_a_loop(scenario)


def test_senders_take_turns() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends, 3)
        senders = [asyncio.create_task(ends.channel.send(large(n))) for n in (1, 2, 3)]
        heard: list[Any] = []
        while len(heard) < 3:
            heard += ends.listen()
            await asyncio.sleep(0)
        assert [m.id for m in heard] == [1, 2, 3]
        await asyncio.gather(*senders)

    on_a_loop(scenario)


def test_a_frame_that_was_begun_is_finished_though_its_sender_is_cancelled() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        first = asyncio.create_task(ends.channel.send(large(1)))
        await asyncio.sleep(0)
        second = asyncio.create_task(ends.channel.send(Reply(2, NULL)))
        await asyncio.sleep(0)
        first.cancel()
        heard: list[Any] = []
        while len(heard) < 2:
            heard += ends.listen()  # would raise on half a frame
            await asyncio.sleep(0)
        assert heard == [large(1), Reply(2, NULL)]
        await second

    on_a_loop(scenario)


def test_a_sender_that_is_cancelled_in_the_queue_sends_nothing() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        first = asyncio.create_task(ends.channel.send(large(1)))
        await asyncio.sleep(0)
        second = asyncio.create_task(ends.channel.send(Reply(2, NULL)))
        await asyncio.sleep(0)
        second.cancel()
        heard: list[Any] = []
        while not first.done():
            heard += ends.listen()
            await asyncio.sleep(0)
        assert [m.id for m in [*heard, *ends.listen()]] == [1]
        assert 2 in ends.host.open_calls

    on_a_loop(scenario)


def test_closing_lets_every_sender_go() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        senders = [asyncio.create_task(ends.channel.send(large(n))) for n in (1, 2)]
        for _ in range(10):
            await asyncio.sleep(0)
        ends.channel.close()
        await asyncio.gather(*senders)
        await ends.channel.send(START)  # nothing, and no error

    on_a_loop(scenario)


def test_a_message_over_the_cap_is_refused_and_the_channel_goes_on() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        with pytest.raises(ValueRejected):
            await ends.channel.send(Reply(1, Raw(pack("x" * 20_000_000))))
        await ends.channel.send(Reply(1, NULL))
        assert ends.listen() == [Reply(1, NULL)]

    on_a_loop(scenario)


def test_a_worker_that_closed_its_ears_is_not_an_error_of_the_sender() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        ends.close(ends.their_in)
        await ends.channel.send(large(1))
        await ends.channel.send(Reply(2, NULL))
        assert ends.ended == []

    on_a_loop(scenario)


def test_what_was_written_before_the_end_is_read_before_the_end_is_told() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        result = Result(Raw(pack("x" * 30_000)))
        ends.say(Log("log", "last"), result)
        ends.close(ends.their_out)
        await until(lambda: ends.ended)
        assert ends.heard[-2:] == [Log("log", "last"), result]
        assert ends.ended == [None]

    on_a_loop(scenario)


def test_an_answer_to_a_worker_that_is_done_is_dropped() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        ends.say(Result(NULL))
        await until(lambda: ends.heard[-1] == Result(NULL))
        await ends.channel.send(Reply(1, NULL))
        assert ends.listen() == []

    on_a_loop(scenario)


def test_a_breach_is_told_once_and_nothing_is_read_after_it() -> None:
    async def scenario(ends: Ends) -> None:
        os.write(ends.their_out, b"\xff" * 100)
        await until(lambda: ends.ended)
        os.write(ends.their_out, b"\xff" * 100)
        ends.close(ends.their_out)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(ends.ended) == 1
        assert "the worker broke the protocol" in str(ends.ended[0])
        assert ends.heard == []

    on_a_loop(scenario)


def test_a_flood_is_read_in_slices_between_which_others_have_their_turn() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        before, count = len(ends.heard), 2000
        ends.say(*[Log("log", "")] * count)
        seen: list[int] = []
        while not seen or seen[-1] < before + count:
            await asyncio.sleep(0)
            seen.append(len(ends.heard))
        steps = [after - now for now, after in itertools.pairwise([before, *seen])]
        assert max(steps) < count // 2

    on_a_loop(scenario)


def test_what_was_read_before_a_pause_is_not_lost_when_nothing_follows() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        ends.say(*[Log("log", "")] * 1000, Result(NULL))
        ends.close(ends.their_out)
        await until(lambda: ends.ended)
        assert ends.heard[-1] == Result(NULL)
        assert ends.ended == [None]

    on_a_loop(scenario)


def test_a_channel_that_is_closed_in_a_pause_hears_no_more() -> None:
    async def scenario(ends: Ends) -> None:
        await begun(ends)
        ends.say(*[Log("log", "")] * 2000)
        heard = len(ends.heard)
        await until(lambda: len(ends.heard) > heard)
        ends.channel.close()
        heard = len(ends.heard)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(ends.heard) == heard

    on_a_loop(scenario)
