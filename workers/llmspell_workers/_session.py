"""What an engine sees of the pipe: calls, streams, logs, and the library inside the worker.

`Session` is the same for every engine. A synchronous engine blocks in `next_message`; one that has
timers, too, watches `fileno` and takes `ready_messages`. Neither sees bytes, frames or their order.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from msgspec import Raw

from llmspell_protocol import (
    NEED_DATA,
    Call,
    Chunk,
    Close,
    Connection,
    Credit,
    ErrorInfo,
    Fault,
    Invoke,
    Log,
    Raise,
    Reply,
    Return,
    Start,
)

from .library import HostError, call_library

if TYPE_CHECKING:
    from llmspell_protocol import LogLevel, WorkerMessage

__all__ = ["Answer", "HostError", "Session"]

READ_SIZE: Final = 65536
"""Bytes per read: the capacity of a pipe by default (pipe(7))."""
MOST_READ: Final = 1 << 20
"""Bytes per read of a large frame, for which the host makes its pipe so large."""

MAX_LOG_TEXT: Final = 32768
"""Bytes of UTF-8 in one console entry: what a person may read, far below a frame."""

HOST_GONE: Final = 0
"""Exit status when the supervisor has gone: nobody is left to read another one."""

Answer = Reply | Fault | Chunk | Invoke
"""What the host says after `Start`. An engine answers an `Invoke` by `give` or `refuse`."""


class Session:
    """One worker's conversation with its host, from `Start` to the last message."""

    def __init__(self, connection: Connection, read_fd: int, write_fd: int, start: Start) -> None:
        self.limits = start.limits
        self.manifest = start.manifest
        self._connection = connection
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._next_id = 1
        self._streams: set[int] = set()  # those that may be credited or closed

    def fileno(self) -> int:
        """The read end, for an engine that waits for something else as well."""
        return self._read_fd

    def call(self, method: str, args: bytes, credit: int = 0) -> int:
        """Send a call; its number. `args` is a msgpack array; `credit` > 0 asks for a stream.

        Raises `HostError`: Validation over `max_request` bytes, Limit over `max_in_flight` calls.
        """
        if len(args) > self.limits.max_request:
            text = (
                f"{method}: {len(args)} bytes of arguments; the limit is {self.limits.max_request}"
            )
            raise HostError(ErrorInfo("Validation", text))
        if not self.has_room():
            count = len(self._connection.open_calls)
            text = f"{method}: {count} calls are open already, which is the limit"
            raise HostError(ErrorInfo("Limit", text, retryable=True))
        number = self._next_id
        self._send(Call(number, method, Raw(args), credit))
        self._next_id += 1
        if credit:
            self._streams.add(number)
        return number

    def has_room(self) -> bool:
        """Whether one more call may be open now."""
        most = self.limits.max_in_flight + self._connection.spare_calls
        return len(self._connection.open_calls) < most

    def give(self, invocation: int, value: bytes) -> None:
        """The function that the host called has returned `value`, as msgpack."""
        if len(value) > self.limits.max_request:
            text = f"a function returned {len(value)} bytes; the limit is {self.limits.max_request}"
            self.refuse(invocation, ErrorInfo("Validation", text))
        else:
            self._send(Return(invocation, Raw(value)))

    def refuse(self, invocation: int, error: ErrorInfo) -> None:
        """The function that the host called has failed, or cannot be called."""
        self._send(Raise(invocation, error))

    def credit(self, number: int, chunks: int) -> None:
        """The script has consumed `chunks` chunks of a stream: the host may send as many more."""
        if number in self._streams:
            self._send(Credit(number, chunks))

    def close(self, number: int) -> None:
        """The script wants no more of a stream. Its `Reply` or `Fault` still comes."""
        if number in self._streams:
            self._streams.remove(number)
            self._send(Close(number))

    def log(self, level: LogLevel, text: str) -> None:
        """One console entry, cut at `MAX_LOG_TEXT` bytes and marked."""
        data = text.encode("utf-8", "replace")
        text = data[:MAX_LOG_TEXT].decode("utf-8", "ignore")
        if len(data) > MAX_LOG_TEXT:
            text += "... (cut)"
        self._send(Log(level, text))

    def library(self, method: str, args: bytes) -> bytes:
        """A pure function of the library, by `module.function`; its value as msgpack.

        Raises `HostError`.
        """
        return call_library(method, args)

    def next_message(self) -> Answer:
        """The next answer of the host; blocks until there is one."""
        while (message := self._parsed()) is None:
            self._read()
        return message

    def ready_messages(self) -> list[Answer]:
        """After `fileno` became readable: one read, then every message that is complete."""
        self._read()
        messages = []
        while (message := self._parsed()) is not None:
            messages.append(message)
        return messages

    def _read(self) -> None:
        size = min(max(self._connection.missing, READ_SIZE), MOST_READ)
        data = os.read(self._read_fd, size)
        if not data:
            os._exit(HOST_GONE)
        self._connection.receive_data(data)

    def _parsed(self) -> Answer | None:
        """The next answer among the bytes that are here."""
        message = self._connection.next_message()
        if message is NEED_DATA:
            return None
        assert isinstance(message, Reply | Fault | Chunk | Invoke)  # the table allows no other
        if isinstance(message, Reply | Fault):
            self._streams.discard(message.id)
        return message

    def _send(self, message: WorkerMessage) -> None:
        view = memoryview(self._connection.send(message))
        while view:
            try:
                view = view[os.write(self._write_fd, view) :]
            except BrokenPipeError:
                os._exit(HOST_GONE)
