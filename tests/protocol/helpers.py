"""Both ends of a wire, back to back, and one example of every message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmspell_protocol import (
    NEED_DATA,
    PROTOCOL_VERSION,
    Binding,
    Call,
    Caps,
    Chunk,
    Close,
    Connection,
    Credit,
    ErrorInfo,
    Failure,
    Fault,
    HostMessage,
    Invoke,
    Log,
    Raise,
    Ready,
    Reply,
    Result,
    Return,
    Role,
    ScriptValue,
    Start,
    State,
    Trap,
    WorkerLimits,
    WorkerMessage,
    pack,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Wire = HostMessage | WorkerMessage


def raw(value: ScriptValue) -> msgspec.Raw:
    """A value, ready for a message."""
    return msgspec.Raw(pack(value))


ERROR = ErrorInfo("Provider", "the model is away", retryable=True, retry_after=1.5)
READY = Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {"seccomp": "on"})
START = Start(
    mode="execute",
    name="hello.lua",
    source="return 1",
    params=raw({"n": 1}),
    env={"LANG": "C"},
    manifest={"llm": {"complete": Binding("call"), "stream": Binding("stream")}},
    limits=WorkerLimits(heap=1 << 20, max_request=1 << 20, max_result=1 << 20, max_in_flight=16),
)

WORKER_MESSAGES: list[WorkerMessage] = [
    READY,
    Call(1, "llm.complete", raw([{"prompt": "hi"}])),
    Credit(1, 1),
    Close(1),
    Log("info", "hello"),
    Return(1, raw("done")),
    Raise(1, ERROR),
    Result(raw([1, 2.5, None])),
    Failure("error", ERROR, 3, 7, "hello.lua:3"),
    Trap(41, False),
]

HOST_MESSAGES: list[HostMessage] = [
    START,
    Reply(1, raw({"text": "hello"})),
    Fault(1, ERROR),
    Chunk(1, raw("hel")),
    Invoke(1, 1, raw(["x"])),
]


class Pair:
    """A host and a worker. Frames pass at once, unless they are sent by `connection.send`."""

    def __init__(self, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self.host = Connection(Role.HOST, self.caps)
        self.worker = Connection(Role.WORKER, self.caps)

    def say(self, *messages: WorkerMessage) -> None:
        """The worker sends, the host reads."""
        for message in messages:
            self.host.receive_data(self.worker.send(message))
            assert drain(self.host) == [message]

    def tell(self, *messages: HostMessage) -> None:
        """The host sends, the worker reads."""
        for message in messages:
            self.worker.receive_data(self.host.send(message))
            assert drain(self.worker) == [message]


def running(caps: Caps | None = None) -> Pair:
    """A pair whose script has started."""
    pair = Pair(caps)
    pair.say(READY)
    pair.tell(START)
    assert pair.host.state is pair.worker.state is State.RUNNING
    return pair


def drain(connection: Connection) -> list[Wire]:
    """All messages that are there."""
    found: list[Wire] = []
    while (message := connection.next_message()) is not NEED_DATA:
        found.append(message)
    return found


def framed(*bodies: bytes) -> bytes:
    """Bodies as frames, whatever is in them."""
    return b"".join(len(b).to_bytes(4, "big") + b for b in bodies)


def encoded(messages: Iterable[Wire]) -> bytes:
    """Messages as frames, in whatever order."""
    return framed(*(msgspec.msgpack.encode(m) for m in messages))
