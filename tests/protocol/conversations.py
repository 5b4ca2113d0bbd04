"""Conversations of a worker that the fuzzers mutate, and what their host answers.

Each message of a worker is in one of them, and each state of the ledger is open in some place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from llmspell_protocol import (
    PROTOCOL_VERSION,
    Call,
    Caps,
    Chunk,
    Close,
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
    Start,
    Trap,
    WorkerLimits,
    WorkerMessage,
    pack,
)

CAPS: Final = Caps(worker_frame=4096, host_frame=4096, in_flight=3, credit=4)
"""Small, so that mutations reach them."""

encode: Final = msgspec.msgpack.Encoder().encode


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(pack(value))  # type: ignore[arg-type]


ERROR: Final = ErrorInfo("Script", "boom", retryable=False, retry_after=0.5, field="x")
START: Final = Start("execute", "x", "", raw({}), {}, {}, WorkerLimits(1, 1, 1, 3))
NULL: Final = raw(None)
VALUE: Final = raw(
    {"a": [1, -1, 2.5, None, True], "text": "naïve", "b": b"\x00\xff", "m": {"k": {}}}
)

CONVERSATIONS: Final[list[list[WorkerMessage]]] = [
    [
        Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {"seccomp": "on", "landlock": "on"}),
        Call(1, "llm.complete", raw([{"prompt": "hello", "stop": ["a", "b"], "n": 300}])),
        Log("info", "between"),
        Call(2, "llm.embed", raw(["x", 70000, -40000, 1.5])),
        Return(1, VALUE),
        Call(3, "a.b.c", raw([])),
        Result(VALUE),
    ],
    [
        Ready(PROTOCOL_VERSION, "javascript", "SpiderMonkey", {}),
        Call(1, "llm.stream", raw([[1, 2, 3]]), 2),
        Credit(1, 1),
        Credit(1, 1),
        Close(1),
        Call(2, "llm.stream", raw([[1, 2, 3]]), 4),
        Credit(2, 2),
        Raise(1, ERROR),
        Failure("error", ERROR, 3, 7, "x:3"),
    ],
    [
        Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {}),
        *(Log("debug", "line " * n) for n in range(3)),
        *(Call(n, "util.now", raw([])) for n in range(1, 7)),
        Result(raw([[[[{"deep": [{}]}]]]])),
    ],
    [
        Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {}),
        Call(1, "llm.complete", raw(["x"])),
        Trap(9, True),
    ],
]
"""Legal against a host that answers as `answers` does."""

BODIES: Final = [[encode(m) for m in messages] for messages in CONVERSATIONS]
FOREIGN: Final = [encode(m) for m in (START, Reply(1, NULL), Fault(1, ERROR), Chunk(1, NULL))]
"""What only the host may say."""


def answers(message: object) -> Iterator[HostMessage]:
    """What the host says to a message: enough to open every state of the ledger."""
    match message:
        case Ready():
            yield START
        case Call(id=number, credit=0):
            if number == 1:
                yield Invoke(1, 1, raw([]))
            yield Reply(number, NULL)
        case Call(id=number):
            if number == 2:
                yield Invoke(1, 1, raw([]))
            yield Chunk(number, NULL)
            yield Chunk(number, NULL)
        case Credit(id=number):
            yield Chunk(number, NULL)
        case Close(id=number):
            yield Fault(number, ERROR)
