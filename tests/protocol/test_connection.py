"""Frames, caps, ends of streams, and what an error says."""

from __future__ import annotations

import itertools
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell_protocol import (
    INT_MAX,
    MAX_DEPTH,
    MAX_WEIGHT,
    NEED_DATA,
    PROTOCOL_VERSION,
    Call,
    Caps,
    Chunk,
    Connection,
    Credit,
    LocalProtocolError,
    Log,
    Ready,
    RemoteProtocolError,
    Reply,
    Result,
    Role,
    ScriptValue,
    State,
    Trap,
    ValueRejected,
)
from llmspell_protocol import _connection as connection
from tests.protocol.helpers import (
    READY,
    START,
    Pair,
    Wire,
    drain,
    encoded,
    framed,
    raw,
    running,
)

KIB = 1024
MIB = 1024 * KIB


def breach(connection: Connection, data: bytes) -> str:
    """What the error says that `data` must lead to."""
    connection.receive_data(data)
    with pytest.raises(RemoteProtocolError) as caught:
        drain(connection)
    assert connection.state is State.ERROR
    return str(caught.value)


# --- headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, Caps().worker_frame + 1, 1 << 31, 0xFFFFFFFF])
def test_a_frame_over_the_cap_is_refused_from_its_header(length: int) -> None:
    """P01, P02: nothing of the body is needed, and none of it is stored."""
    host = Connection(Role.HOST)
    text = breach(host, length.to_bytes(4, "big"))
    assert str(length) in text
    assert str(Caps().worker_frame) in text


def test_nothing_is_stored_after_a_bad_header() -> None:
    """P01."""
    host = Connection(Role.HOST)
    host.receive_data(b"\xff\xff\xff\xff")
    piece = bytes(MIB)
    tracemalloc.start()
    for _ in range(8):
        host.receive_data(piece)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 4 * KIB


def test_an_announced_frame_costs_no_more_than_what_has_come_of_it() -> None:
    """P03: a megabyte announced, then one byte a second."""
    host = Connection(Role.HOST)
    tracemalloc.start()
    host.receive_data(MIB.to_bytes(4, "big"))
    for _ in range(1000):
        host.receive_data(b"\x00")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 4 * KIB


def test_what_is_missing_of_a_frame_is_told_once_its_length_is_known() -> None:
    host = Connection(Role.HOST)
    frame = memoryview(Connection(Role.WORKER).send(READY))
    said = []
    for byte in range(len(frame)):
        host.receive_data(frame[byte : byte + 1])
        said.append(host.missing)
    body = len(frame) - 4
    assert said == [0, 0, 0, *range(body, 0, -1), 0]


@pytest.mark.parametrize(("size", "legal"), [(0, True), (1, False)])
def test_a_frame_of_exactly_the_cap_is_legal(size: int, *, legal: bool) -> None:
    body = msgspec.msgpack.encode(READY)
    host = Connection(Role.HOST, Caps(worker_frame=len(body) - size))
    host.receive_data(framed(body))
    if legal:
        assert host.next_message() == READY
    else:
        with pytest.raises(RemoteProtocolError):
            host.next_message()


def test_messages_before_a_bad_header_are_still_handed_out() -> None:
    host = Connection(Role.HOST)
    host.receive_data(encoded([READY]) + b"\x00\x00\x00\x00" + encoded([READY]))
    assert host.next_message() == READY
    with pytest.raises(RemoteProtocolError, match="announces 0 bytes"):
        host.next_message()


def test_a_large_frame_in_small_pieces_arrives_whole() -> None:
    pair = running()
    pair.say(Call(1, "llm.complete", raw([])))
    answer = Reply(1, raw("x" * (10 * MIB)))
    frame = pair.host.send(answer)
    for start in range(0, len(frame), 64 * KIB):
        assert pair.worker.next_message() is NEED_DATA
        pair.worker.receive_data(memoryview(frame)[start : start + 64 * KIB])
    assert drain(pair.worker) == [answer]


@pytest.mark.parametrize(
    "sizes",
    [(1, 64 * KIB, 3, 200 * KIB), (100 * KIB, 1, 1), (64 * KIB - 1, 64 * KIB, 64 * KIB + 1)],
)
def test_a_frame_arrives_whole_from_small_and_large_pieces(sizes: tuple[int, ...]) -> None:
    pair = running()
    pair.say(Call(1, "llm.complete", raw([])))
    answer = Reply(1, raw(bytes(range(256)) * (8 * KIB)))
    frame = pair.host.send(answer)
    buffer = bytearray(MIB)
    start = 0
    for size in itertools.cycle(sizes):
        piece = frame[start : start + size]
        buffer[: len(piece)] = piece  # the caller reads into one buffer again and again
        pair.worker.receive_data(memoryview(buffer)[: len(piece)])
        start += size
        if start >= len(frame):
            break
        assert pair.worker.missing == len(frame) - start or start < 4
        assert pair.worker.next_message() is NEED_DATA
    assert drain(pair.worker) == [answer]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_is_taken_and_may_be_reused(kind: type) -> None:
    host = Connection(Role.HOST)
    data = bytearray(encoded([READY]))
    host.receive_data(kind(data))
    data[:] = bytes(len(data))  # a caller that reads into one buffer again and again
    assert host.next_message() == READY


# --- sending -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_a_message_over_the_cap_is_not_sent_and_changes_nothing(role: Role) -> None:
    pair = running(Caps(worker_frame=1000, host_frame=2000))
    pair.say(Call(1, "llm.complete", raw([])))
    end = pair.host if role is Role.HOST else pair.worker
    text = raw("x" * 3000)
    big: Wire = Reply(1, text) if role is Role.HOST else Result(text)
    with pytest.raises(ValueRejected, match=r"30\d\d bytes; the cap is [12]000"):
        end.send(big)
    assert end.state is State.RUNNING
    pair.tell(Reply(1, raw("short")))
    pair.say(Result(raw("short")))


def test_text_that_no_encoder_takes_is_not_sent_and_changes_nothing() -> None:
    pair = running()
    with pytest.raises(ValueRejected, match="does not encode"):
        pair.worker.send(Log("info", "\ud800"))
    pair.say(Log("info", "fine"))


def test_an_illegal_message_of_ours_is_not_sent_and_changes_nothing() -> None:
    pair = running()
    with pytest.raises(LocalProtocolError, match="call 2 came where 1 was due"):
        pair.worker.send(Call(2, "llm.complete", raw([])))
    pair.say(Call(1, "llm.complete", raw([])))


# --- the end of the stream -----------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 3])
def test_the_end_inside_a_header_is_a_breach_that_says_so(cut: int) -> None:
    """P04."""
    host = running().host
    host.receive_data(b"\x00" * cut)
    host.receive_eof()
    with pytest.raises(RemoteProtocolError, match=f"ended after {cut} of 4 bytes of a header"):
        host.next_message()


def test_the_end_inside_a_body_is_a_breach_that_says_so() -> None:
    """P04: half a frame, then exit, is never a good end, not even after the result."""
    pair = running()
    pair.say(Result(raw(1)))
    pair.host.receive_data(b"\x00\x00\x00\x0aabc")
    pair.host.receive_eof()
    with pytest.raises(RemoteProtocolError, match="ended after 3 of 10 bytes of a body"):
        pair.host.next_message()


@pytest.mark.parametrize("role", Role)
def test_the_end_before_the_last_message_is_a_breach_that_says_where(role: Role) -> None:
    pair = running()
    end = pair.host if role is Role.HOST else pair.worker
    end.receive_eof()
    with pytest.raises(RemoteProtocolError, match="ended while running"):
        end.next_message()


def test_the_end_after_the_last_message_is_no_breach() -> None:
    pair = running()
    pair.host.receive_data(pair.worker.send(Result(raw(1))))
    pair.host.receive_eof()
    assert drain(pair.host) == [Result(raw(1))]
    assert pair.host.next_message() is NEED_DATA


def test_data_after_the_end_is_a_bug_of_the_caller() -> None:
    host = Connection(Role.HOST)
    host.receive_eof()
    with pytest.raises(LocalProtocolError, match="after the end"):
        host.receive_data(b"\x00")


# --- a dead connection ---------------------------------------------------------------------------


def test_after_a_breach_everything_raises() -> None:
    host = Connection(Role.HOST)
    breach(host, framed(b"\xc1"))
    with pytest.raises(RemoteProtocolError):
        host.next_message()
    with pytest.raises(RemoteProtocolError):
        host.receive_data(encoded([READY]))
    with pytest.raises(LocalProtocolError, match="dead connection"):
        host.send(START)


# --- what does not decode ------------------------------------------------------------------------

NOT_MESSAGES: dict[str, object] = {
    "an unknown tag": ["launch", 1],
    "no tag": [],
    "a map": {"type": "log", "text": "x"},
    "a scalar": 7,
    "a surplus field": ["log", "info", "x", "y"],
    "a missing field": ["log", "info"],
    "a level that does not exist": ["log", "fatal", "x"],
    "a method that is a list": ["call", 1, ["llm.complete"], []],
    "an id that is a float": ["call", 1.0, "llm.complete", []],
    "an id that is true": ["call", True, "llm.complete", []],
    "an id that is text": ["call", "1", "llm.complete", []],
    "args that are text": ["call", 1, "llm.complete", "[]"],
    "args that are a map": ["call", 1, "llm.complete", {}],
    "an error that is text": ["raise", 1, "boom"],
    "a cause that does not exist": ["failure", "boredom", ["Script", "x"]],
    "a kind that does not exist": ["failure", "error", ["Nonsense", "x"]],
}


@pytest.mark.parametrize("body", NOT_MESSAGES.values(), ids=NOT_MESSAGES.keys())
def test_what_is_no_message_is_a_breach(body: object) -> None:
    """P10, P11, P22."""
    breach(running().host, framed(msgspec.msgpack.encode(body)))


HOSTILE: dict[str, bytes] = {
    "an array of 2^32 nils": b"\x92\xa6result\xdd\xff\xff\xff\xff",
    "a map of 2^32 pairs": b"\x92\xa6result\xdf\xff\xff\xff\xff",
    "nesting of 10,000": b"\x92\xa6result" + b"\x91" * 10_000 + b"\xc0",
    "an extension": b"\x92\xa6result\xd4\x01\x00",
    "a timestamp": b"\x92\xa6result\xd6\xff\x00\x00\x00\x00",
    "a binary key": b"\x92\xa6result\x81\xc4\x01a\xc0",
    "a key that is not a number": b"\x92\xa6result\x81\xcb\x7f\xf8" + b"\x00" * 6 + b"\xc0",
    "a number that is not one": b"\x92\xa6result\xcb\x7f\xf8" + b"\x00" * 6,
    "the same key twice": b"\x92\xa6result\x82\xa6method\x01\xa6method\x02",
    "text that is not UTF-8": b"\x92\xa6result\xa1\xff",
    "overlong text": b"\x92\xa6result\xa2\xc0\x80",
    "a surrogate": b"\x92\xa6result\xa3\xed\xa0\x80",
    "an id above i64": b"\x94\xa4call\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1x\x90",
    "two values in one frame": b"\x92\xa6result\xc0\xc0",
    "half a message": b"\x92\xa6result",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_a_breach_before_anything_is_built(body: bytes) -> None:
    """P05, P06, P07, P08, P09, P10, P12."""
    breach(running().host, framed(body))


def test_a_frame_of_small_elements_is_refused_by_its_weight() -> None:
    """P05: a megabyte of nils would be eight in memory, of maps sixty-four."""
    count = MAX_WEIGHT
    body = b"\x92\xa6result\xdd" + count.to_bytes(4, "big") + b"\x80" * count
    tracemalloc.start()
    text = breach(running().host, framed(body))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(MAX_WEIGHT) in text
    assert peak < 3 * len(body)


@pytest.mark.parametrize("version", [0, PROTOCOL_VERSION + 1, -1, INT_MAX])
def test_another_version_is_a_breach(version: int) -> None:
    """P30."""
    ready = Ready(version, "lua", "Lua 5.4", {})
    assert str(version) in breach(Connection(Role.HOST), encoded([ready]))


def nested(depth: int) -> ScriptValue:
    value: ScriptValue = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_value_of_the_greatest_depth_crosses_in_every_position() -> None:
    pair = running()
    deep = nested(MAX_DEPTH)
    inside = msgspec.Raw(msgspec.msgpack.encode([deep]))
    pair.say(Call(1, "llm.complete", inside))
    pair.tell(Reply(1, raw(deep)))
    pair.say(Result(raw(deep)))


def test_an_error_is_bounded_and_escaped() -> None:
    """P21, P27."""
    text = breach(running().host, encoded([Call(1, "\x1b]52;c;" + "ж" * 5000 + "\n", raw([]))]))
    assert len(text) <= 300
    assert text.isascii()
    assert text.isprintable()


def test_a_tag_of_the_peer_cannot_write_to_a_terminal_through_an_error() -> None:
    """P27."""
    text = breach(running().host, framed(msgspec.msgpack.encode(["\x1b[2J\n" * 500])))
    assert len(text) <= 300
    assert text.isascii()
    assert text.isprintable()


# --- whatever the pieces -------------------------------------------------------------------------

values: st.SearchStrategy[ScriptValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


TRAPS = st.builds(Trap, st.integers(0, (1 << 30) - 1), st.booleans())


@st.composite
def conversations(draw: st.DrawFn) -> list[Wire]:
    """What a worker may say in one run, in an order that is legal whatever the host does."""
    said: list[Wire] = [
        Call(n, "llm.complete", raw([draw(values)])) for n in range(1, draw(st.integers(1, 5)))
    ]
    said += [Log("info", draw(st.text(max_size=60))) for _ in range(draw(st.integers(0, 3)))]
    last = draw(st.booleans())
    return [*said, Result(raw(draw(values))) if last else draw(TRAPS)]


@settings(max_examples=100, deadline=None)
@given(said=conversations(), data=st.data())
def test_any_messages_round_trip_whatever_the_pieces(said: list[Wire], data: st.DataObject) -> None:
    pair = running()
    wire = b"".join(pair.worker.send(m) for m in said)
    heard: list[Wire] = []
    pos = 0
    while pos < len(wire):
        size = data.draw(st.sampled_from([1, 2, 3, 4, 5, 7, 64, len(wire)]))
        pair.host.receive_data(wire[pos : pos + size])
        heard += drain(pair.host)
        pos += size
    assert heard == said
    assert pair.host.state is State.DONE


@settings(max_examples=50, deadline=None)
@given(chunks=st.lists(values, max_size=8))
def test_a_stream_round_trips_under_a_credit_of_one(chunks: list[ScriptValue]) -> None:
    pair = running()
    pair.say(Call(1, "llm.stream", raw([]), 1))
    for chunk in chunks:
        assert pair.host.credit(1) == 1
        pair.tell(Chunk(1, raw(chunk)))
        assert pair.host.credit(1) == 0
        pair.say(Credit(1, 1))
    pair.tell(Reply(1, raw(None)))
    pair.say(Result(raw(None)))
    assert pair.host.state is pair.worker.state is State.DONE


def test_at_a_new_end_nothing_is_open() -> None:
    for role in Role:
        end = Connection(role)
        assert (end.missing, end.invoked, end.spare_calls, end.credit(1)) == (0, 0, 0, 0)
        assert (list(end.open_calls), end.open_invocations) == ([], frozenset())


def test_a_new_pair_is_booting() -> None:
    pair = Pair()
    assert pair.host.state is pair.worker.state is State.BOOTING
    assert (pair.host.role, pair.worker.role) == (Role.HOST, Role.WORKER)


# --- exactly where things end ---------------------------------------------------------------------


def test_each_end_says_of_the_other_one_that_it_broke_the_protocol() -> None:
    for role, other in ((Role.HOST, "worker"), (Role.WORKER, "host")):
        connection = Connection(role, Caps(100, 100, 1))
        connection.receive_data(framed(b"\xc1"))
        with pytest.raises(RemoteProtocolError, match=f"^the {other} broke the protocol: "):
            connection.next_message()


def test_a_body_of_one_byte_is_a_frame_and_one_of_none_is_not() -> None:
    for body, reason in ((b"\xc0", "no message"), (b"", "announces 0 bytes")):
        connection = Connection(Role.HOST, Caps(100, 100, 1))
        connection.receive_data(framed(body))
        with pytest.raises(RemoteProtocolError, match=reason):
            connection.next_message()


def test_a_reason_is_as_long_as_it_may_be_and_no_longer() -> None:
    most = connection._REASON_MAX
    for length in (most - 1, most):
        assert connection._bounded("x" * length) == "x" * length
    assert connection._bounded("x" * (most + 1)) == "x" * (most - 3) + "..."


def test_a_value_of_a_message_may_be_as_deep_as_any_value_and_no_deeper() -> None:
    def nested(depth: int) -> msgspec.Raw:
        return msgspec.Raw(b"\x91" * depth + b"\xc0")

    pair = running()
    pair.say(Call(1, "llm.complete", nested(MAX_DEPTH)))
    pair.host.receive_data(encoded([Result(nested(MAX_DEPTH + 2))]))
    with pytest.raises(RemoteProtocolError, match="rules of values"):
        drain(pair.host)
