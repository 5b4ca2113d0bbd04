"""What an engine sees of the pipe, over real pipes with the host's end in the same process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Raw

from llmspell_protocol import (
    NEED_DATA,
    PROTOCOL_VERSION,
    Binding,
    Caps,
    Chunk,
    Close,
    Connection,
    Credit,
    ErrorInfo,
    Fault,
    Invoke,
    Raise,
    Ready,
    Reply,
    Return,
    Role,
    Start,
    WorkerLimits,
    pack,
)
from llmspell_workers._session import MAX_LOG_TEXT, HostError, Session

LIMITS = WorkerLimits(heap=1, max_request=1 << 20, max_result=1, max_in_flight=2)
START = Start(
    "execute", "x.lua", "", Raw(pack({})), {}, {"llm": {"complete": Binding("call")}}, LIMITS
)
NIL = Raw(pack(None))


class Pair:
    """A session and the host's end of its pipes."""

    def __init__(self) -> None:
        self.worker_read, self.host_write = os.pipe()
        self.host_read, self.worker_write = os.pipe()
        caps = Caps(worker_frame=1 << 30)
        self.host = Connection(Role.HOST, caps)
        worker = Connection(Role.WORKER, caps)
        self.host.receive_data(worker.send(Ready(PROTOCOL_VERSION, "test", "1", {})))
        assert isinstance(self.host.next_message(), Ready)
        worker.receive_data(self.host.send(START))
        assert worker.next_message() == START
        self.session = Session(worker, self.worker_read, self.worker_write, START)

    def say(self, *messages: Any) -> None:
        os.write(self.host_write, b"".join(self.host.send(m) for m in messages))

    def heard(self) -> Any:
        while (message := self.host.next_message()) is NEED_DATA:
            self.host.receive_data(os.read(self.host_read, 1 << 16))
        return message

    def close(self) -> None:
        for fd in (self.worker_read, self.worker_write, self.host_read, self.host_write):
            os.close(fd)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_calls_are_numbered_from_one_and_answers_come_in_the_hosts_order(pair: Pair) -> None:
    assert pair.session.call("llm.complete", pack([1])) == 1
    assert pair.session.call("llm.complete", pack([2])) == 2
    assert [pair.heard().id, pair.heard().id] == [1, 2]
    fault = Fault(1, ErrorInfo("Network", "down"))
    pair.say(Reply(2, NIL), fault)
    assert [pair.session.next_message(), pair.session.next_message()] == [Reply(2, NIL), fault]


def test_what_became_readable_at_once_is_given_at_once(pair: Pair) -> None:
    pair.session.call("llm.complete", pack([]), credit=4)
    assert pair.heard().credit == 4
    chunks = [Chunk(1, NIL), Chunk(1, NIL)]
    pair.say(*chunks)
    assert pair.session.ready_messages() == chunks


def test_half_a_frame_is_no_message_yet(pair: Pair) -> None:
    pair.session.call("llm.complete", pack([]))
    pair.heard()
    frame = pair.host.send(Reply(1, NIL))
    os.write(pair.host_write, frame[:3])
    assert pair.session.ready_messages() == []
    os.write(pair.host_write, frame[3:])
    assert pair.session.ready_messages() == [Reply(1, NIL)]


def test_arguments_over_the_limit_are_refused_and_use_no_number(pair: Pair) -> None:
    with pytest.raises(HostError) as caught:
        pair.session.call("llm.complete", bytes(LIMITS.max_request + 1))
    assert caught.value.info.kind == "Validation"
    assert pair.session.call("llm.complete", pack([])) == 1


def test_calls_over_the_limit_are_refused_until_one_is_answered(pair: Pair) -> None:
    pair.session.call("llm.complete", pack([]))
    pair.session.call("llm.complete", pack([]))
    with pytest.raises(HostError) as caught:
        pair.session.call("llm.complete", pack([]))
    assert (caught.value.info.kind, caught.value.info.retryable) == ("Limit", True)
    pair.heard()
    pair.say(Reply(1, NIL))
    pair.session.next_message()
    assert pair.session.call("llm.complete", pack([])) == 3


def test_credit_and_close_reach_the_host_and_are_nothing_once_the_stream_is_over(
    pair: Pair,
) -> None:
    pair.session.call("llm.stream", pack([]), credit=1)
    pair.heard()
    pair.say(Chunk(1, NIL))
    pair.session.next_message()
    pair.session.credit(1, 1)
    pair.session.close(1)
    assert [pair.heard(), pair.heard()] == [Credit(1, 1), Close(1)]
    pair.session.close(1)
    pair.session.credit(1, 1)
    pair.say(Reply(1, NIL))
    pair.session.next_message()
    pair.session.close(1)
    pair.session.log("log", "after")
    assert pair.heard().text == "after"


def invoked(pair: Pair) -> None:
    """The host has called a function."""
    pair.session.call("llm.complete", pack([]))
    pair.heard()
    pair.say(Invoke(1, 7, Raw(pack([]))))
    assert pair.session.next_message() == Invoke(1, 7, Raw(pack([])))


def test_an_invocation_is_answered_with_a_value_or_an_error(pair: Pair) -> None:
    invoked(pair)
    pair.say(Invoke(2, 7, Raw(pack([]))))
    pair.session.next_message()
    pair.session.give(1, pack("x"))
    pair.session.refuse(2, ErrorInfo("Script", "no"))
    assert [pair.heard(), pair.heard()] == [
        Return(1, Raw(pack("x"))),
        Raise(2, ErrorInfo("Script", "no")),
    ]


def test_a_function_that_returns_too_much_has_failed(pair: Pair) -> None:
    invoked(pair)
    pair.session.give(1, bytes(LIMITS.max_request + 1))
    answer = pair.heard()
    assert isinstance(answer, Raise)
    assert answer.error.kind == "Validation"


def test_a_function_may_call_however_many_calls_are_open(pair: Pair) -> None:
    invoked(pair)
    pair.session.call("llm.complete", pack([]))
    pair.session.call("llm.complete", pack([]))
    assert not pair.session.has_room()
    with pytest.raises(HostError):
        pair.session.call("llm.complete", pack([]))


def test_a_long_console_entry_is_cut_at_a_character(pair: Pair) -> None:
    pair.session.log("warn", "é" * MAX_LOG_TEXT)
    told = pair.heard()
    assert told.text == "é" * (MAX_LOG_TEXT // 2) + "... (cut)"


def test_text_that_is_not_valid_is_replaced_in_the_worker(pair: Pair) -> None:
    pair.session.log("log", "a\ud800b")
    assert pair.heard().text == "a?b"


def test_a_message_larger_than_the_pipe_arrives_whole(pair: Pair) -> None:
    args = pack(["x" * 1_000_000])
    writer = threading.Thread(target=pair.session.call, args=("llm.complete", args))
    writer.start()
    assert bytes(pair.heard().args) == args
    writer.join()


@pytest.mark.parametrize("end", ["host_write", "host_read"])
def test_when_the_supervisor_has_gone_the_worker_ends_quietly(end: str) -> None:
    pair = Pair()
    pid = os.fork()
    if pid == 0:
        try:
            for fd in (pair.host_read, pair.host_write):
                os.close(fd)
            while end == "host_read":
                pair.session.log("log", "x" * 1000)
            pair.session.next_message()
        finally:
            os._exit(70)
    os.close(getattr(pair, end))
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    for fd in {pair.worker_read, pair.worker_write, pair.host_read, pair.host_write} - {
        getattr(pair, end)
    }:
        os.close(fd)
