"""The host under test, and the invariant that the fuzzers hold it to.

Any bytes either parse or raise `RemoteProtocolError`, whole, byte by byte, or split at random, with
the same outcome.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Final

from llmspell_protocol import (
    NEED_DATA,
    Connection,
    HostMessage,
    LocalProtocolError,
    RemoteProtocolError,
    Role,
    State,
    WorkerMessage,
)
from llmspell_protocol._framing import FrameReader
from tests.protocol.conversations import BODIES, CAPS, answers
from tests.protocol.helpers import framed

Outcome = tuple[list[HostMessage | WorkerMessage], str, State]
"""Messages heard, the reason of the breach if there was one, and the state afterwards."""


class Broken(AssertionError):
    """The invariant does not hold; the message repeats the case."""


class Host:
    """A host that reads, answers, and keeps the outcome."""

    def __init__(self, connection: Connection | None = None) -> None:
        self.connection = connection or Connection(Role.HOST, CAPS)
        self.heard: list[HostMessage | WorkerMessage] = []
        self.error = ""

    def feed(self, data: bytes) -> None:
        """Raises whatever is not a `RemoteProtocolError`."""
        if not self.error:
            self.connection.receive_data(data)
            self._drain()

    def end(self) -> Outcome:
        """Raises whatever is not a `RemoteProtocolError`."""
        if not self.error:
            self.connection.receive_eof()
            self._drain()
        return self.heard, self.error, self.connection.state

    def _drain(self) -> None:
        try:
            while (message := self.connection.next_message()) is not NEED_DATA:
                self.heard.append(message)
                for answer in answers(message):
                    self._send(answer)
        except RemoteProtocolError as error:
            self.error = str(error)

    def _send(self, answer: HostMessage) -> None:
        try:
            self.connection.send(answer)
        except LocalProtocolError:
            return  # the worker's mutated course left no room for it


class Stage:
    """A conversation at the end of one of its frames."""

    def __init__(self, connection: Connection, due: bytes, after: bytes) -> None:
        self.connection = connection
        self.due = due
        """The body that a lawful worker would send next."""
        self.after = after
        """The frame that it would send then."""
        self._spare: Connection | None = None

    def outcome(self, pieces: Iterable[bytes]) -> Outcome:
        """What becomes of a host at this stage that reads `pieces` and then the end."""
        host = Host(self._spare or twin(self.connection))
        for piece in pieces:
            host.feed(piece)
        outcome = host.end()
        self._spare = None if host.heard else self._revived(host.connection)
        return outcome

    def _revived(self, connection: Connection) -> Connection:
        """A connection that refused its first frame has changed nothing but what is set here."""
        connection._error = ""
        connection._eof = False
        connection._state = self.connection._state
        connection._frames = FrameReader(CAPS.worker_frame)
        return connection


def twin(connection: Connection) -> Connection:
    """A copy that goes its own way: to say half a conversation again takes ten times as long.

    The reader of frames starts anew, so this is for a connection between two frames.
    """
    new = Connection(connection.role, CAPS)
    new._state = connection._state
    old, ledger = connection._ledger, new._ledger
    ledger._last_call = old._last_call
    ledger._calls = {number: copy.copy(stream) for number, stream in old._calls.items()}
    ledger._ended = {number: copy.copy(stream) for number, stream in old._ended.items()}
    ledger._invoked = old._invoked
    ledger._invocations = set(old._invocations)
    return new


def _stages() -> list[Stage]:
    found = []
    for bodies in BODIES:
        host = Host()
        for due, after in zip(bodies, [*bodies[1:], b""], strict=True):
            found.append(Stage(twin(host.connection), due, framed(after) if after else b""))
            host.feed(framed(due))
    return found


STAGES: Final = _stages()


def judge(stage: Stage, data: bytes, pieces: Sequence[bytes]) -> Outcome:
    """Feed `data` whole, and again in pieces if there are any. Raises `Broken` unless the outcomes are the same."""
    first = stage.outcome((data,))
    if pieces and first != (again := stage.outcome(pieces)):
        raise Broken(f"whole: {first}\nin pieces: {again}")
    if bool(first[1]) == (first[2] is State.DONE):
        raise Broken(f"neither parsed nor refused: {first}")
    return first
