"""The order table: every message type in every state, both directions (P11, P13)."""

from __future__ import annotations

import msgspec
import pytest

from llmspell_protocol import (
    NEED_DATA,
    Call,
    Connection,
    LocalProtocolError,
    Message,
    RemoteProtocolError,
    Role,
    SessionOver,
    State,
)
from llmspell_protocol._state import RECEIVES, SENDS
from tests.protocol.helpers import (
    HOST_MESSAGES,
    READY,
    START,
    WORKER_MESSAGES,
    Pair,
    Wire,
    framed,
    raw,
    running,
)

EXAMPLES: dict[type[Message], Wire] = {type(m): m for m in [*WORKER_MESSAGES, *HOST_MESSAGES]}

# Written by hand, not read from the tables: what is legal, per state.
WORKER_MAY_SAY = {
    State.BOOTING: "Ready Failure Trap",  # the latter where it cannot lock itself
    State.READY: "Trap",
    State.RUNNING: "Call Credit Close Log Return Raise Result Failure Trap",
    State.DONE: "",
    State.ERROR: "",
}
HOST_MAY_SAY = {
    State.BOOTING: "",
    State.READY: "Start",
    State.RUNNING: "Reply Fault Chunk Invoke",
    State.DONE: "",
    State.ERROR: "",
}
MAY_SAY = {Role.WORKER: WORKER_MAY_SAY, Role.HOST: HOST_MAY_SAY}
AFTERWARDS = {
    "Ready": "READY",
    "Start": "RUNNING",
    "Result": "DONE",
    "Failure": "DONE",
    "Trap": "DONE",
}

STATES = [State.BOOTING, State.READY, State.RUNNING, State.DONE]
CASES = [(role, state, kind) for role in Role for state in State for kind in EXAMPLES]


def names(case: object) -> str:
    return case.__name__ if isinstance(case, type) else str(getattr(case, "value", case))


def other(role: Role) -> Role:
    return Role.HOST if role is Role.WORKER else Role.WORKER


def at(role: Role, state: State) -> Connection:
    """A connection in `state`, with a stream that has had a chunk, and an invocation open."""
    pair = Pair()
    end = pair.host if role is Role.HOST else pair.worker
    if state is State.ERROR:
        end.receive_data(b"\x00\x00\x00\x00")
        with pytest.raises(RemoteProtocolError):
            end.next_message()
    if state in (State.READY, State.RUNNING, State.DONE):
        pair.say(READY)
    if state in (State.RUNNING, State.DONE):
        pair.tell(START)
        pair.say(Call(1, "llm.stream", raw([]), 4))
        pair.tell(EXAMPLES_OF["Chunk"], EXAMPLES_OF["Invoke"])  # type: ignore[arg-type]
    if state is State.DONE:
        pair.say(EXAMPLES_OF["Result"])  # type: ignore[arg-type]
    assert end.state is state
    return end


EXAMPLES_OF = {kind.__name__: example for kind, example in EXAMPLES.items()}
# A stream is open as call 1, so the next call is 2, and the next invocation 2.
EXAMPLES_OF["Call"] = EXAMPLES[Call] = Call(2, "llm.complete", raw([]))
NEXT_INVOKE = msgspec.structs.replace(EXAMPLES_OF["Invoke"], id=2)


def example(kind: type[Message], state: State) -> Wire:
    if kind.__name__ == "Invoke" and state in (State.RUNNING, State.DONE):
        return NEXT_INVOKE
    return EXAMPLES[kind]


@pytest.mark.parametrize(("role", "state", "kind"), CASES, ids=names)
def test_a_role_sends_what_its_state_allows_and_nothing_else(
    role: Role, state: State, kind: type[Message]
) -> None:
    end = at(role, state)
    message = example(kind, state)
    if kind.__name__ in MAY_SAY[role][state].split():
        assert msgspec.msgpack.encode(message) == end.send(message)[4:]
        assert end.state.name == AFTERWARDS.get(kind.__name__, state.name)
    else:
        expected = SessionOver if state is State.DONE else LocalProtocolError
        with pytest.raises(expected, match=kind.__name__):
            end.send(message)
        assert end.state is state


@pytest.mark.parametrize(("role", "state", "kind"), CASES, ids=names)
def test_a_role_accepts_what_the_other_may_say_and_nothing_else(
    role: Role, state: State, kind: type[Message]
) -> None:
    end = at(role, state)
    message = example(kind, state)
    legal = MAY_SAY[other(role)][state].split()
    if role is Role.WORKER and state is State.DONE:  # under way when the worker ended
        legal = ["Reply", "Fault", "Chunk", "Invoke"]
    if state is State.ERROR:
        with pytest.raises(RemoteProtocolError):
            end.receive_data(framed(msgspec.msgpack.encode(message)))
        return
    end.receive_data(framed(msgspec.msgpack.encode(message)))
    if kind.__name__ in legal:
        assert end.next_message() == message
        assert end.state.name == AFTERWARDS.get(kind.__name__, state.name)
    else:
        with pytest.raises(RemoteProtocolError):
            end.next_message()
        assert end.state is State.ERROR


def test_the_tables_name_every_state_and_every_message() -> None:
    for tables in (SENDS, RECEIVES):
        assert all(set(table) == set(State) for table in tables.values())
    mentioned = {kind for table in SENDS.values() for moves in table.values() for kind in moves}
    assert mentioned == set(EXAMPLES)


@pytest.mark.parametrize("message", HOST_MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_of_the_host_sent_back_to_it_does_not_decode(message: Wire) -> None:
    """P13."""
    host = running().host
    host.receive_data(framed(msgspec.msgpack.encode(message)))
    with pytest.raises(RemoteProtocolError, match="no message"):
        host.next_message()


@pytest.mark.parametrize("last", ["Result", "Failure", "Trap"])
@pytest.mark.parametrize("after", ["Result", "Failure", "Trap", "Log", "Call", "Return"])
def test_nothing_may_follow_the_last_message(last: str, after: str) -> None:
    """P11: two results, a call after the result."""
    host = at(Role.HOST, State.RUNNING)
    bodies = [msgspec.msgpack.encode(EXAMPLES_OF[name]) for name in (last, after)]
    host.receive_data(framed(*bodies))
    assert host.next_message() == EXAMPLES_OF[last]
    with pytest.raises(RemoteProtocolError, match=f"{after} while done"):
        host.next_message()


def test_a_result_before_the_start_is_a_breach() -> None:
    """P11."""
    host = at(Role.HOST, State.READY)
    host.receive_data(framed(msgspec.msgpack.encode(EXAMPLES_OF["Result"])))
    with pytest.raises(RemoteProtocolError, match="Result while ready"):
        host.next_message()


def test_a_host_that_answers_late_is_told_that_the_session_is_over() -> None:
    host = at(Role.HOST, State.DONE)
    with pytest.raises(SessionOver, match="Reply after the worker's last message"):
        host.send(EXAMPLES_OF["Reply"])
    assert host.state is State.DONE
    assert host.next_message() is NEED_DATA
