"""The house rules: identifiers, calls in flight, credit, closing, invocations."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from llmspell_protocol import (
    MAX_NESTING,
    Call,
    Caps,
    Chunk,
    Close,
    Connection,
    Credit,
    Fault,
    HostMessage,
    Invoke,
    LocalProtocolError,
    Log,
    Raise,
    RemoteProtocolError,
    Reply,
    Result,
    Return,
    State,
    Trap,
    WorkerMessage,
)
from tests.protocol.helpers import ERROR, READY, START, Pair, drain, encoded, framed, raw, running


def call(number: int, credit: int = 0, method: str = "llm.complete") -> Call:
    return Call(number, method, raw([]), credit)


def refused(pair: Pair, *messages: WorkerMessage) -> str:
    """The last of `messages` is a breach for the host, and the worker would not send it."""
    for message in messages[:-1]:
        pair.say(message)
    with pytest.raises(LocalProtocolError):
        pair.worker.send(messages[-1])
    return forged(pair, messages[-1])


def forged(pair: Pair, message: WorkerMessage) -> str:
    """What the host says to a message that a hostile worker sends all the same."""
    pair.host.receive_data(encoded([message]))
    with pytest.raises(RemoteProtocolError) as caught:
        drain(pair.host)
    return str(caught.value)


@pytest.mark.parametrize(("number", "taken"), [(-1, False), (0, True), (1 << 30, False)])
def test_a_trap_names_a_system_call_of_this_machine(number: int, taken: bool) -> None:
    pair = running()
    if taken:
        pair.say(Trap(number, False))
        assert pair.host.state is not State.ERROR
    else:
        assert "no number of a system call" in refused(pair, Trap(number, False))


def test_the_largest_number_of_a_system_call_is_below_those_of_x32() -> None:
    running().say(Trap((1 << 30) - 1, False))


def not_sent(pair: Pair, message: HostMessage) -> str:
    """Why the host may not send `message`."""
    with pytest.raises(LocalProtocolError) as caught:
        pair.host.send(message)
    return str(caught.value)


# --- calls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 3, -1, 2**63 - 1])
def test_call_ids_count_up_without_gaps(number: int) -> None:
    """P12."""
    assert f"call {number} came where 2 was due" in refused(running(), call(1), call(number))


def test_an_id_of_2_to_the_63_is_a_breach() -> None:
    """P12."""
    pair = running()
    pair.host.receive_data(framed(msgspec.msgpack.encode(["call", 2**63, "llm.complete", []])))
    with pytest.raises(RemoteProtocolError, match="above"):
        pair.host.next_message()


def test_an_id_is_not_free_again_after_the_answer() -> None:
    """P12."""
    pair = running()
    pair.say(call(1))
    pair.tell(Reply(1, raw(None)))
    assert "call 1 came where 2 was due" in refused(pair, call(1))


def test_no_more_calls_than_the_cap_are_open() -> None:
    """P14."""
    calls = [call(n) for n in range(1, 5)]
    assert "call 4 with 3 open; cap 3" in refused(running(Caps(in_flight=3)), *calls)


def test_an_answered_call_makes_room_for_another() -> None:
    pair = running(Caps(in_flight=1))
    for number in range(1, 100):
        pair.say(call(number))
        assert list(pair.host.open_calls) == [number]
        pair.tell(Reply(number, raw(None)) if number % 2 else Fault(number, ERROR))
        assert not pair.host.open_calls


@pytest.mark.parametrize("answer", [Reply(1, raw(None)), Fault(1, ERROR)])
def test_a_call_is_answered_once(answer: HostMessage) -> None:
    pair = running()
    pair.say(call(1))
    pair.tell(answer)
    assert "call 1, which is not open" in not_sent(pair, answer)


@pytest.mark.parametrize(
    "method",
    ["", "llm", ".llm", "llm.", "llm..x", "a.b.c.d", "LLM.complete", "llm.Complete", "__class__.x",
     "llm.__init__", "1lm.x", "../etc/passwd", "llm.complete\n", "llm.complete\0", "llm. complete",
     "l\u217cm.complete", "llm.completé", "llm." + "x" * 61, "llm." + "x" * 65_536],
)  # fmt: skip
def test_a_malformed_method_name_is_a_breach(method: str) -> None:
    """P21: paths, dunders, look-alikes, 64 KB."""
    text = refused(running(), call(1, method=method))
    assert "malformed method name" in text
    assert len(text) <= 300


@pytest.mark.parametrize("method", ["llm.complete", "a.b", "a.b.c", "x_1.y_2", "l." + "x" * 62])
def test_a_well_formed_method_name_is_legal(method: str) -> None:
    running().say(call(1, method=method))


@pytest.mark.parametrize("args", ["[]", {}, None, 1])
def test_args_must_be_a_list(args: object) -> None:
    """P22."""
    wrong = Call(1, "llm.complete", msgspec.Raw(msgspec.msgpack.encode(args)))
    assert "must be a list" in refused(running(), wrong)


def test_an_empty_raw_is_never_sent() -> None:
    with pytest.raises(LocalProtocolError, match="must be a list"):
        running().worker.send(Call(1, "llm.complete", msgspec.Raw(b"")))


def test_params_must_be_a_map() -> None:
    pair = Pair()
    pair.say(READY)
    with pytest.raises(LocalProtocolError, match="params of start must be a map"):
        pair.host.send(msgspec.structs.replace(START, params=raw([])))


# --- traps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [-1, 1 << 30, 2**63 - 1])
def test_a_trap_names_a_number_that_a_system_call_can_have(number: int) -> None:
    assert f"a trap at {number}" in refused(running(), Trap(number, listed=False))


def test_a_trap_ends_the_session() -> None:
    pair = running()
    pair.say(call(1), Trap((1 << 30) - 1, listed=True))
    assert pair.host.state is pair.worker.state is State.DONE


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("credit", [-1, 65, 2**62])
def test_credit_of_a_call_is_within_the_cap(credit: int) -> None:
    assert f"with credit {credit}; cap 64" in refused(running(), call(1, credit))


def test_a_host_sends_no_chunk_beyond_the_credit() -> None:
    pair = running()
    pair.say(call(1, credit=2))
    pair.tell(Chunk(1, raw("a")), Chunk(1, raw("b")))
    assert pair.host.credit(1) == 0
    assert "beyond its credit" in not_sent(pair, Chunk(1, raw("c")))
    pair.say(Credit(1, 1))
    assert pair.host.credit(1) == 1
    pair.tell(Chunk(1, raw("c")))


def test_a_plain_call_has_no_chunks() -> None:
    pair = running()
    pair.say(call(1))
    assert pair.host.credit(1) == 0
    assert "not an open stream" in not_sent(pair, Chunk(1, raw("a")))


@pytest.mark.parametrize("chunks", [0, -1, 3, 2**62])
def test_credit_is_only_handed_back_for_chunks_that_were_sent(chunks: int) -> None:
    pair = running()
    pair.say(call(1, credit=2))
    pair.tell(Chunk(1, raw("a")), Chunk(1, raw("b")))
    assert f"credit of {chunks} for stream 1; 2 chunks unpaid" in refused(pair, Credit(1, chunks))


def test_credit_is_not_handed_back_twice() -> None:
    pair = running()
    pair.say(call(1, credit=2))
    pair.tell(Chunk(1, raw("a")))
    assert "0 chunks unpaid" in refused(pair, Credit(1, 1), Credit(1, 1))


@pytest.mark.parametrize("message", [Credit(1, 1), Close(1), Credit(2, 1), Close(7)])
def test_credit_and_close_need_a_stream(message: WorkerMessage) -> None:
    assert "not an open stream" in refused(running(), call(1), message)


def test_a_stream_is_closed_once_and_needs_no_credit_then() -> None:
    for again in (Close(1), Credit(1, 1)):
        pair = running()
        pair.say(call(1, credit=2))
        pair.tell(Chunk(1, raw("a")))
        assert "closed before" in refused(pair, Close(1), again)


def test_a_host_that_has_read_the_close_sends_no_more_chunks_but_an_answer() -> None:
    pair = running()
    pair.say(call(1, credit=2), Close(1))
    assert pair.host.credit(1) == 0
    assert "which the worker closed" in not_sent(pair, Chunk(1, raw("a")))
    pair.tell(Reply(1, raw(None)))


def test_chunks_that_cross_the_close_are_legal() -> None:
    pair = running()
    pair.say(call(1, credit=2))
    chunk, close = pair.host.send(Chunk(1, raw("a"))), pair.worker.send(Close(1))
    pair.worker.receive_data(chunk)
    pair.host.receive_data(close)
    assert drain(pair.worker) == [Chunk(1, raw("a"))]
    assert drain(pair.host) == [Close(1)]
    pair.tell(Reply(1, raw(None)))


def ended(in_flight: int = 3) -> tuple[Pair, bytearray]:
    """A stream that the host has ended after a chunk; the worker has not read the end yet."""
    pair = running(Caps(in_flight=in_flight))
    pair.say(call(1, credit=2))
    pair.tell(Chunk(1, raw("a")))
    return pair, pair.host.send(Reply(1, raw(None)))


def test_credit_and_close_that_cross_the_end_of_a_stream_are_legal() -> None:
    pair, end = ended()
    pair.say(Credit(1, 1), Close(1))
    pair.worker.receive_data(end)
    assert drain(pair.worker) == [Reply(1, raw(None))]


@pytest.mark.parametrize("message", [Credit(1, 2), Credit(1, 0)])
def test_credit_after_the_end_is_bounded_by_the_chunks_too(message: WorkerMessage) -> None:
    pair, _ = ended()
    assert "1 chunks unpaid" in forged(pair, message)


def test_a_stream_that_ended_is_closed_at_most_once() -> None:
    pair, _ = ended()
    pair.say(Close(1))
    assert "closed before" in forged(pair, Close(1))


def test_a_worker_that_read_the_end_sends_neither_credit_nor_close() -> None:
    pair, end = ended()
    pair.worker.receive_data(end)
    drain(pair.worker)
    for message in (Credit(1, 1), Close(1)):
        with pytest.raises(LocalProtocolError, match="not an open stream"):
            pair.worker.send(message)


def test_an_ended_stream_is_known_for_as_many_calls_as_may_have_crossed_its_end() -> None:
    # With three in flight, a worker that has not read the end has made at most two more calls.
    pair, _ = ended(in_flight=3)
    pair.say(call(2), call(3), Close(1))


def test_after_as_many_calls_as_may_be_in_flight_an_ended_stream_is_forgotten() -> None:
    pair, end = ended(in_flight=3)
    pair.worker.receive_data(end)
    drain(pair.worker)
    pair.say(call(2), call(3), call(4))
    assert "not an open stream" in forged(pair, Close(1))


def test_ended_streams_are_remembered_in_bounded_number() -> None:
    pair = running(Caps(in_flight=4))
    for number in range(1, 500):
        pair.say(call(number, credit=1))
        pair.tell(Reply(number, raw(None)))
    assert len(pair.host._ledger._ended) <= 2 * 4


# --- invocations ---------------------------------------------------------------------------------


def test_an_invocation_needs_an_open_call() -> None:
    pair = running()
    assert "no call is open" in not_sent(pair, Invoke(1, 1, raw([])))
    pair.say(call(1))
    pair.tell(Invoke(1, 1, raw([])), Reply(1, raw(None)))
    assert "no call is open" in not_sent(pair, Invoke(2, 1, raw([])))


def test_invocations_count_up_without_gaps() -> None:
    pair = running()
    pair.say(call(1))
    pair.tell(Invoke(1, 9, raw([])))
    assert "invocation 3 came where 2 was due" in not_sent(pair, Invoke(3, 9, raw([])))


def test_an_invocation_is_answered_after_its_call_has_ended() -> None:
    pair = running()
    pair.say(call(1))
    pair.tell(Invoke(1, 1, raw([])), Fault(1, ERROR))
    assert pair.host.open_invocations == {1}
    pair.say(Return(1, raw(None)))
    assert not pair.host.open_invocations


@pytest.mark.parametrize("again", [Return(1, raw(None)), Raise(1, ERROR)])
def test_an_invocation_is_answered_once(again: WorkerMessage) -> None:
    """P12."""
    pair = running()
    pair.say(call(1))
    pair.tell(Invoke(1, 1, raw([])))
    assert "invocation 1, which is not open" in refused(pair, Raise(1, ERROR), again)


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1])
def test_an_invocation_that_was_never_made_has_no_answer(number: int) -> None:
    assert "which is not open" in refused(running(), call(1), Return(number, raw(None)))


@pytest.mark.attack("B30")
def test_each_open_invocation_lets_one_call_more_be_open() -> None:
    pair = running(Caps(in_flight=1))
    pair.say(call(1))
    pair.tell(Invoke(1, 1, raw([])), Invoke(2, 1, raw([])))
    pair.say(call(2))
    pair.say(call(3))
    assert "call 4 with 3 open; cap 3" in refused(pair, call(4))


@pytest.mark.attack("J13", "B30")
def test_invocations_let_no_more_calls_be_open_than_may_nest() -> None:
    pair = running(Caps(in_flight=1))
    pair.say(call(1))
    pair.tell(*(Invoke(n, 1, raw([])) for n in range(1, MAX_NESTING + 9)))
    for number in range(2, MAX_NESTING + 2):
        pair.say(call(number))
    most = MAX_NESTING + 1
    assert f"with {most} open; cap {most}" in refused(pair, call(MAX_NESTING + 2))


# --- both ends, any legal course, any delay ------------------------------------------------------


class Courses(RuleBasedStateMachine):
    """Two ends of ours never find fault with each other, however long frames are under way."""

    def __init__(self) -> None:
        super().__init__()
        pair = running(Caps(in_flight=3, credit=3))
        self.host, self.worker = pair.host, pair.worker
        self.to_host: list[bytes] = []
        self.to_worker: list[bytes] = []
        self.calls = self.invocations = 0

    def try_send(self, end: Connection, message: HostMessage | WorkerMessage) -> bool:
        try:
            frame = end.send(message)
        except LocalProtocolError:
            return False
        (self.to_host if end is self.worker else self.to_worker).append(bytes(frame))
        return True

    @rule(credit=st.integers(0, 3))
    def open_a_call(self, credit: int) -> None:
        self.calls += self.try_send(self.worker, call(self.calls + 1, credit))

    @rule(data=st.data(), chunks=st.integers(1, 3))
    def hand_back_credit(self, data: st.DataObject, chunks: int) -> None:
        self.try_send(self.worker, Credit(data.draw(st.integers(1, self.calls + 1)), chunks))

    @rule(data=st.data())
    def close_a_stream(self, data: st.DataObject) -> None:
        self.try_send(self.worker, Close(data.draw(st.integers(1, self.calls + 1))))

    @rule(data=st.data())
    def answer_an_invocation(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.invocations + 1))
        self.try_send(self.worker, Return(number, raw(None)))

    @rule(data=st.data())
    def answer_a_call(self, data: st.DataObject) -> None:
        self.try_send(self.host, Reply(data.draw(st.integers(1, self.calls + 1)), raw(None)))

    @rule(data=st.data())
    def send_a_chunk(self, data: st.DataObject) -> None:
        self.try_send(self.host, Chunk(data.draw(st.integers(1, self.calls + 1)), raw("x")))

    @rule()
    def invoke(self) -> None:
        number = self.invocations + 1
        self.invocations += self.try_send(self.host, Invoke(number, 1, raw([])))

    @rule()
    def log(self) -> None:
        self.try_send(self.worker, Log("info", "x"))

    @precondition(lambda self: self.calls > 4)
    @rule()
    def end_the_run(self) -> None:
        self.try_send(self.worker, Result(raw(None)))

    @precondition(lambda self: self.calls > 4)
    @rule(number=st.integers(0, (1 << 30) - 1), listed=st.booleans())
    def be_stopped(self, number: int, *, listed: bool) -> None:
        self.try_send(self.worker, Trap(number, listed))

    @precondition(lambda self: self.to_host)
    @rule(count=st.integers(1, 5))
    def deliver_to_the_host(self, count: int) -> None:
        self.host.receive_data(b"".join(self.to_host[:count]))
        del self.to_host[:count]
        drain(self.host)

    @precondition(lambda self: self.to_worker)
    @rule(count=st.integers(1, 5))
    def deliver_to_the_worker(self, count: int) -> None:
        self.worker.receive_data(b"".join(self.to_worker[:count]))
        del self.to_worker[:count]
        drain(self.worker)

    def teardown(self) -> None:
        for end, frames in ((self.host, self.to_host), (self.worker, self.to_worker)):
            end.receive_data(b"".join(frames))
            drain(end)
        assert State.ERROR not in (self.host.state, self.worker.state)


TestCourses = Courses.TestCase
TestCourses.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
