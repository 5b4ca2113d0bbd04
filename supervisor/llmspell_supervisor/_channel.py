"""The supervisor's end of one worker's pipes: bytes in, messages out, and back-pressure.

Writing is one frame at a time. While a worker does not read, whoever has something for it waits
here, holding at most one encoded frame, until the deadline ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final, cast

from llmspell_protocol import (
    NEED_DATA,
    Connection,
    HostMessage,
    RemoteProtocolError,
    SessionOver,
    WorkerMessage,
)

READ_SIZE: Final = 256 * 1024
"""Bytes per read; a pipe holds 64 KiB unless it was enlarged (pipe(7))."""


class Channel:
    """Runs a `Connection` over two non-blocking descriptors, which it does not own."""

    def __init__(
        self,
        connection: Connection,
        read_fd: int,
        write_fd: int,
        on_message: Callable[[WorkerMessage], None],
        on_end: Callable[[RemoteProtocolError | None], None],
    ) -> None:
        """`on_end` is called once: with the breach, or with None when the worker has gone."""
        self._connection = connection
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._on_message = on_message
        self._on_end = on_end
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._writable: asyncio.Future[None] | None = None
        self._open = True
        self._loop.add_reader(read_fd, self._read)

    async def send(self, message: HostMessage) -> None:
        """Write one message, waiting for the worker to read. Nothing is sent after the end.

        Raises `ValueRejected` when the message is over the cap of a frame.
        """
        async with self._turn:
            if not self._open:
                return
            try:
                rest = memoryview(self._connection.send(message))
            except SessionOver:
                return  # the worker has said its last word: nobody waits for this any more
            while rest and self._open:
                try:
                    rest = rest[os.write(self._write_fd, rest) :]
                except BlockingIOError:
                    await self._until_writable()
                except BrokenPipeError:
                    return  # the worker has gone or closed its end; reading will tell which

    async def _until_writable(self) -> None:
        self._writable = self._loop.create_future()
        self._loop.add_writer(self._write_fd, self._wake)
        try:
            await self._writable
        finally:
            if self._open:
                self._loop.remove_writer(self._write_fd)

    def _wake(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _read(self) -> None:
        try:
            data = os.read(self._read_fd, READ_SIZE)
        except BlockingIOError:
            return
        try:
            if not data:
                # A worker that died in the middle of a frame broke no rule: its exit tells why.
                self._finish(None)
                return
            self._connection.receive_data(data)
            while self._open:
                message = self._connection.next_message()
                if message is NEED_DATA:
                    return
                self._on_message(cast("WorkerMessage", message))  # the host's end reads no other
        except RemoteProtocolError as breach:
            self._finish(breach)

    def _finish(self, breach: RemoteProtocolError | None) -> None:
        if self._open:
            self.close()
            self._on_end(breach)

    def close(self) -> None:
        """Stop reading and writing; senders that wait are let go. The descriptors stay open."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._read_fd)
            with contextlib.suppress(ValueError):
                self._loop.remove_writer(self._write_fd)
            self._wake()
