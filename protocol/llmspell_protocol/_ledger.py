"""The house rules on top of the order table: identifiers, calls in flight, credit, invocations.

Each end keeps one `Ledger` and enters every message that it sends or receives. An entry is checked
whole before anything changes, so a refused message leaves the books as they were.

Some messages cross in the pipes, so the two books differ for a while:

- A worker may send `Credit` or `Close` for a stream that the host has just ended. The pipes keep
  order: until it has read that end, the worker cannot have read the answer to any later call, so
  it can have made fewer calls since than may be open: `in_flight`, and one for each invocation up to
  `MAX_NESTING`. The host accepts both up to that point, and so remembers fewer than twice as many
  ended streams.
- Chunks that were under way when the worker sent `Close` are legal to receive. A host that has
  read the `Close` sends no more of them.

`Credit` hands back credit for chunks that were sent: the sum of it never passes the number of
chunks, so no more than `Call.credit` chunks are ever under way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, KeysView
from typing import Any, Final

import msgspec

from ._messages import (
    MAX_NESTING,
    PROTOCOL_VERSION,
    Call,
    Caps,
    Chunk,
    Close,
    Credit,
    Fault,
    Invoke,
    Message,
    Raise,
    Ready,
    Reply,
    Return,
    Start,
    Trap,
)

_METHOD: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){1,2}")
_METHOD_MAX: Final = 64
"""Characters of a method's name. Names come from a manifest; none of ours has half of that."""

_QUOTE_MAX: Final = 80
"""Characters of the other side's text that an error repeats: a line of a terminal."""

_CALL_NUMBERS: Final = 1 << 30
"""System calls of x86-64 have lower numbers; from here on they would be those of x32."""

_ARRAYS: Final = frozenset([*range(0x90, 0xA0), 0xDC, 0xDD])
_MAPS: Final = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])


class Breach(Exception):
    """A message that the books refuse, and why. The connection says whose fault it is."""


def quote(text: str) -> str:
    """Text of the other side, for an error: escaped, ASCII, bounded."""
    return ascii(text if len(text) <= _QUOTE_MAX else text[:_QUOTE_MAX] + "...")


class _Stream:
    """One streaming call. `owed` is chunks sent and not yet handed back as credit."""

    __slots__ = ("closed", "credit", "ended_at", "owed")

    def __init__(self, credit: int) -> None:
        self.credit = credit
        self.owed = 0
        self.closed = False
        self.ended_at = 0  # the number of calls made when the stream ended


class Ledger:
    """What is open on one connection."""

    __slots__ = ("_calls", "_caps", "_ended", "_invocations", "_invoked", "_last_call")

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._last_call = 0
        self._calls: dict[int, _Stream | None] = {}  # None is a plain call
        self._ended: dict[int, _Stream] = {}  # in the order in which they ended
        self._invoked = 0
        self._invocations: set[int] = set()

    @property
    def open_calls(self) -> KeysView[int]:
        """Identifiers of the calls that await their `Reply` or `Fault`, oldest first; live."""
        return self._calls.keys()

    @property
    def open_invocations(self) -> frozenset[int]:
        """Identifiers of the invocations that await their `Return` or `Raise`."""
        return frozenset(self._invocations)

    @property
    def spare_calls(self) -> int:
        """Calls that may be open beyond `in_flight`: one for each open invocation, within bounds."""
        return min(len(self._invocations), MAX_NESTING)

    @property
    def invoked(self) -> int:
        """The number of the last invocation."""
        return self._invoked

    def credit(self, call: int) -> int:
        """Chunks that stream `call` may carry now; 0 once closed, ended, or for a plain call."""
        stream = self._calls.get(call)
        return 0 if stream is None or stream.closed else stream.credit

    def enter(self, message: Message, *, sent: bool) -> None:
        """Check `message` and book it. `sent`: by this side. Raises `Breach`, nothing changed."""
        rule = _RULES.get(type(message))
        if rule is not None:
            rule(self, message, sent)

    def _ready(self, message: Ready, _sent: bool) -> None:
        if message.version != PROTOCOL_VERSION:
            msg = f"protocol version {message.version}; this side speaks {PROTOCOL_VERSION}"
            raise Breach(msg)

    def _start(self, message: Start, _sent: bool) -> None:
        _expect(message.params, _MAPS, "params of start must be a map")

    def _call(self, message: Call, _sent: bool) -> None:
        caps, method = self._caps, message.method
        if message.id != self._last_call + 1:
            raise Breach(f"call {message.id} came where {self._last_call + 1} was due")
        most = caps.in_flight + self.spare_calls
        if len(self._calls) >= most:
            raise Breach(f"call {message.id} with {len(self._calls)} open; cap {most}")
        if len(method) > _METHOD_MAX or not _METHOD.fullmatch(method):
            raise Breach(f"call {message.id} of a malformed method name {quote(method)}")
        if not 0 <= message.credit <= caps.credit:
            raise Breach(f"call {message.id} with credit {message.credit}; cap {caps.credit}")
        _expect(message.args, _ARRAYS, "args of a call must be a list")
        self._last_call = message.id
        self._calls[message.id] = _Stream(message.credit) if message.credit else None
        self._forget_ended()

    def _forget_ended(self) -> None:
        """A worker that made as many calls as can be open since a stream ended has read that end."""
        most = self._caps.in_flight + min(self._invoked, MAX_NESTING)
        while self._ended:
            call, stream = next(iter(self._ended.items()))
            if stream.ended_at + most > self._last_call:
                return
            del self._ended[call]

    def _answer(self, message: Reply | Fault, _sent: bool) -> None:
        if message.id not in self._calls:
            raise Breach(f"an answer to call {message.id}, which is not open")
        stream = self._calls.pop(message.id)
        if stream is not None:
            stream.ended_at = self._last_call
            self._ended[message.id] = stream

    def _chunk(self, message: Chunk, sent: bool) -> None:
        stream = self._calls.get(message.id)
        if stream is None:
            raise Breach(f"a chunk of call {message.id}, which is not an open stream")
        if stream.closed and sent:
            raise Breach(f"a chunk of stream {message.id}, which the worker closed")
        if not stream.credit:
            raise Breach(f"a chunk of stream {message.id} beyond its credit")
        stream.credit -= 1
        stream.owed += 1

    def _credit(self, message: Credit, sent: bool) -> None:
        stream = self._stream(message.id, "credit for", sent)
        if not 1 <= message.chunks <= stream.owed:
            msg = f"credit of {message.chunks} for stream {message.id}; {stream.owed} chunks unpaid"
            raise Breach(msg)
        stream.credit += message.chunks
        stream.owed -= message.chunks

    def _close(self, message: Close, sent: bool) -> None:
        self._stream(message.id, "close of", sent).closed = True

    def _stream(self, call: int, what: str, sent: bool) -> _Stream:
        stream = self._calls.get(call)
        if stream is None and not sent:
            stream = self._ended.get(call)
        if stream is None:
            raise Breach(f"{what} call {call}, which is not an open stream")
        if stream.closed:
            raise Breach(f"{what} stream {call}, which was closed before")
        return stream

    def _invoke(self, message: Invoke, _sent: bool) -> None:
        if message.id != self._invoked + 1:
            raise Breach(f"invocation {message.id} came where {self._invoked + 1} was due")
        if not self._calls:
            raise Breach(f"invocation {message.id} while no call is open")
        _expect(message.args, _ARRAYS, "args of an invocation must be a list")
        self._invoked = message.id
        self._invocations.add(message.id)

    def _settle(self, message: Return | Raise, _sent: bool) -> None:
        if message.id not in self._invocations:
            raise Breach(f"an answer to invocation {message.id}, which is not open")
        self._invocations.remove(message.id)

    def _trap(self, message: Trap, _sent: bool) -> None:
        if not 0 <= message.call < _CALL_NUMBERS:
            raise Breach(f"a trap at {message.call}, which is no number of a system call")


def _expect(raw: msgspec.Raw, first: frozenset[int], reason: str) -> None:
    """The first byte of a value tells its type."""
    view = memoryview(raw)
    if not view or view[0] not in first:
        raise Breach(reason)


_RULES: Final[dict[type[Message], Callable[[Ledger, Any, bool], None]]] = {
    Ready: Ledger._ready,
    Start: Ledger._start,
    Call: Ledger._call,
    Reply: Ledger._answer,
    Fault: Ledger._answer,
    Chunk: Ledger._chunk,
    Credit: Ledger._credit,
    Close: Ledger._close,
    Invoke: Ledger._invoke,
    Return: Ledger._settle,
    Raise: Ledger._settle,
    Trap: Ledger._trap,
}
"""`Log`, `Result` and `Failure` have no rule but the order table."""
