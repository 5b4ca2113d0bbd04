"""One end of the wire, sans-IO: bytes in, messages out, and the other way round.

    connection = Connection(Role.HOST)
    connection.receive_data(piece)               # as read from the pipe
    while (message := connection.next_message()) is not NEED_DATA:
        ...
    write(connection.send(Reply(1, Raw(pack(value)))))

Both ends use this class. It never blocks, never reads and never writes. Call `next_message` until
it says `NEED_DATA` before handing over the next piece: what is complete is kept until asked for.

After the worker's last message the session is DONE. A host may have answers in hand at that
moment: `send` then raises `SessionOver`, sends nothing and changes nothing, and `state` tells
beforehand. A worker ignores what still comes in.
"""

from __future__ import annotations

import enum
from collections.abc import KeysView
from typing import Final, Literal

import msgspec

from ._errors import (
    LocalProtocolError,
    RemoteProtocolError,
    SessionOver,
    ValueRejected,
)
from ._framing import HEADER, FrameReader, frame
from ._ledger import Breach, Ledger, quote
from ._messages import Caps, HostMessage, WorkerMessage
from ._state import RECEIVES, SENDS, Role, State
from ._values import MAX_DEPTH, MAX_WEIGHT
from ._walk import check

_ENVELOPE_DEPTH: Final = 2
"""Lists around a value: the message itself, and the list of arguments. A value of `MAX_DEPTH`
may thus cross in any position."""

_REASON_MAX: Final = 300
"""Characters of an error's text, whatever the other side sent."""


class NeedData(enum.Enum):
    """The type of `NEED_DATA`."""

    NEED_DATA = enum.auto()


NEED_DATA: Final = NeedData.NEED_DATA
"""What `next_message` returns when no whole message is there."""

_encode_into: Final = msgspec.msgpack.Encoder().encode_into
_from_worker: Final[msgspec.msgpack.Decoder[WorkerMessage]] = msgspec.msgpack.Decoder(WorkerMessage)
_from_host: Final[msgspec.msgpack.Decoder[HostMessage]] = msgspec.msgpack.Decoder(HostMessage)


class Connection:
    """One end of a session. `caps` must be the same at both ends."""

    __slots__ = (
        "_cap",
        "_decode",
        "_eof",
        "_error",
        "_frames",
        "_ledger",
        "_receives",
        "_role",
        "_sends",
        "_state",
    )

    def __init__(self, role: Role, caps: Caps | None = None) -> None:
        caps = caps or Caps()
        host = role is Role.HOST
        self._role = role
        self._cap = caps.host_frame if host else caps.worker_frame
        self._frames = FrameReader(caps.worker_frame if host else caps.host_frame)
        self._decode = _decode_untrusted if host else _from_host.decode
        self._sends = SENDS[role]
        self._receives = RECEIVES[role]
        self._ledger = Ledger(caps)
        self._state = State.BOOTING
        self._eof = False
        self._error = ""

    @property
    def role(self) -> Role:
        """Which end this is."""
        return self._role

    @property
    def state(self) -> State:
        """Where the session stands, as far as this end knows."""
        return self._state

    @property
    def open_calls(self) -> KeysView[int]:
        """Identifiers of the calls that await their answer, oldest first; a live view."""
        return self._ledger.open_calls

    @property
    def open_invocations(self) -> frozenset[int]:
        """Identifiers of the invocations that await their answer."""
        return self._ledger.open_invocations

    @property
    def spare_calls(self) -> int:
        """How many calls may be open beyond `Caps.in_flight` now."""
        return self._ledger.spare_calls

    @property
    def invoked(self) -> int:
        """The number of the last invocation; the next is one more."""
        return self._ledger.invoked

    @property
    def missing(self) -> int:
        """Bytes of the frame under way that have not come, once its length is known; else 0."""
        return self._frames.missing

    def credit(self, call: int) -> int:
        """How many chunks of stream `call` the host may send now; 0 once closed or ended."""
        return self._ledger.credit(call)

    def send(self, message: HostMessage | WorkerMessage) -> bytearray:
        """The frame to write.

        Raises `LocalProtocolError` if the message is not legal now (`SessionOver` after the last
        message) and `ValueRejected` if it is over the cap of a frame or does not encode. Then
        nothing has changed and the connection stays usable.
        """
        following = self._sends[self._state].get(type(message))
        if following is None:
            raise self._unsendable(message)
        try:
            whole = frame(_encode_into, message)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueRejected(_bounded(f"does not encode: {error}")) from None
        if len(whole) - HEADER > self._cap:
            size = len(whole) - HEADER
            raise ValueRejected(f"a message of {size} bytes; the cap is {self._cap}")
        try:
            self._ledger.enter(message, sent=True)
        except Breach as breach:
            raise LocalProtocolError(str(breach)) from None
        self._state = following
        return whole

    def _unsendable(self, message: HostMessage | WorkerMessage) -> LocalProtocolError:
        name = type(message).__name__
        if self._error:
            return LocalProtocolError(f"{name} on a dead connection: {self._error}")
        if self._state is State.DONE:
            return SessionOver(f"{name} after the worker's last message")
        return LocalProtocolError(
            f"the {self._role.value} may not send {name} while {self._state.value}"
        )

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes as they were read. Breaches show in `next_message`, in their turn.

        Raises `RemoteProtocolError` on a dead connection, `LocalProtocolError` after the end.
        """
        if self._error:
            raise RemoteProtocolError(self._error)
        if self._eof:
            raise LocalProtocolError("data after the end of the stream")
        self._frames.feed(data)

    def receive_eof(self) -> None:
        """Take note that the other side's pipe has ended."""
        self._eof = True

    def next_message(self) -> HostMessage | WorkerMessage | Literal[NeedData.NEED_DATA]:
        """The next whole message, or `NEED_DATA`.

        Raises `RemoteProtocolError`; from then on the state is ERROR, and this, `send` and
        `receive_data` raise.
        """
        if self._error:
            raise RemoteProtocolError(self._error)
        body = self._frames.next()
        if body is None:
            return self._no_message()
        try:
            message = self._decode(body)
            following = self._receives[self._state].get(type(message))
            if following is None:
                raise Breach(f"{type(message).__name__} while {self._state.value}")
            self._ledger.enter(message, sent=False)
        except ValueRejected as error:
            raise self._dead(f"a frame that breaks the rules of values: {error}") from None
        except msgspec.DecodeError as error:
            raise self._dead(f"a frame that is no message: {quote(str(error))}") from None
        except (Breach, RecursionError) as error:
            raise self._dead(str(error)) from None
        self._state = following
        return message

    def _no_message(self) -> Literal[NeedData.NEED_DATA]:
        if self._frames.breach:
            raise self._dead(self._frames.breach)
        if self._eof and self._frames.partial:
            raise self._dead(f"the stream ended after {self._frames.partial}")
        if self._eof and self._state is not State.DONE:
            raise self._dead(f"the stream ended while {self._state.value}")
        return NEED_DATA

    def _dead(self, reason: str) -> RemoteProtocolError:
        other = Role.WORKER if self._role is Role.HOST else Role.HOST
        self._error = _bounded(f"the {other.value} broke the protocol: {reason}")
        self._state = State.ERROR
        return RemoteProtocolError(self._error)


def _decode_untrusted(body: bytes) -> WorkerMessage:
    """What a worker sends is walked before it is decoded."""
    check(body, max_depth=MAX_DEPTH + _ENVELOPE_DEPTH, max_weight=MAX_WEIGHT)
    return _from_worker.decode(body)


def _bounded(text: str) -> str:
    return text if len(text) <= _REASON_MAX else text[: _REASON_MAX - 3] + "..."
