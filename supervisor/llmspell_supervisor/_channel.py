"""The supervisor's end of one worker's pipes: bytes in, messages out, and back-pressure.

Writing is one frame at a time. While a worker does not read, whoever has something for it waits
here, until the deadline ends the run. A frame that was begun is finished whatever becomes of its
sender: half a frame would turn all that follows into nonsense.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
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

from ._turns import Turn, Turns

_FIONREAD: Final = 0x541B
"""ioctl(2): bytes that wait in a pipe, told at either end."""
READ_SIZE: Final = 16 * 1024
"""Bytes per read: they can be three thousand frames, which are cut in a millisecond. A pipe holds
four times as much (pipe(7))."""
LARGE: Final = 256 * 1024
"""Bytes of a frame for which a pipe is made larger: fewer turns of two processes."""
MOST_READ: Final = 1 << 20
"""Bytes of such a pipe, and per read of such a frame: what anybody may have (fs.pipe-max-size)."""
_F_SETPIPE_SZ: Final = 1031


class Channel:
    """Runs a `Connection` over two non-blocking descriptors, which it does not own."""

    def __init__(
        self,
        connection: Connection,
        read_fd: int,
        write_fd: int,
        on_message: Callable[[WorkerMessage], None],
        on_end: Callable[[RemoteProtocolError | OSError | None], None],
        turns: Turns,
    ) -> None:
        """`on_end` is called once: with the breach, the error of a pipe, or None: it has gone.

        Neither callback may raise. `turns` is shared by the channels of one event loop.
        """
        self._connection = connection
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._on_message = on_message
        self._on_end = on_end
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._rest = memoryview(b"")  # of the frame that is being written
        self._written: asyncio.Future[None] | None = None
        self._written_bytes = 0
        self._open = True
        self._wide = False
        self._share = Turn(turns)
        self._pause: asyncio.Handle | None = None
        self._listen()

    def _listen(self) -> None:
        try:
            self._loop.add_reader(self._read_fd, self._read)
        except OSError as error:
            self._loop.call_soon(self._finish, error)

    async def send(self, message: HostMessage) -> None:
        """Write one message, waiting for the worker to read. Nothing is sent after the end.

        Raises `ValueRejected` when the message is over the cap of a frame.
        """
        if self._is_idle():
            self.begin(message)
            await self._until_written()  # the pipe has usually taken all of it at once
            return
        async with self._turn:
            await self._until_written()  # a frame that a cancelled sender has left
            self.begin(message)
            await self._until_written()

    def _is_idle(self) -> bool:
        return self._written is None and not self._turn.locked()

    def begin(self, message: HostMessage) -> None:
        """Write what the pipe takes of a message and the rest later; nothing else may be under way.

        Raises `ValueRejected` when the message is over the cap of a frame.
        """
        if not self._open:
            return
        try:
            self._rest = memoryview(self._connection.send(message))
        except SessionOver:
            return  # the worker has said its last word: nobody waits for this any more
        if len(self._rest) >= LARGE:
            _widen(self._write_fd)
        self._write()
        if self._rest:
            self._written = self._loop.create_future()
            try:
                self._loop.add_writer(self._write_fd, self._write)
            except OSError as error:
                self._finish(error)

    async def _until_written(self) -> None:
        while self._written is not None:
            await asyncio.shield(self._written)

    def _write(self) -> None:
        try:
            while self._rest:
                written = os.write(self._write_fd, self._rest)
                self._written_bytes += written
                self._rest = self._rest[written:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._rest = memoryview(b"")  # the worker has gone: reading will tell how
        except OSError as error:
            self._finish(error)
        self._release()

    def _release(self) -> None:
        """Nothing is under way any more: let go who waits for that."""
        if self._written is not None:
            self._loop.remove_writer(self._write_fd)
            self._written.set_result(None)
            self._written = None

    def _read(self) -> None:
        missing = self._connection.missing  # of one frame: there is nothing to cut in it
        if missing >= LARGE and not self._wide:
            self._wide = True
            _widen(self._read_fd)
        try:
            data = os.read(self._read_fd, min(max(missing, READ_SIZE), MOST_READ))
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(error)
            return
        if not data:
            # A worker that died in the middle of a frame broke no rule: its exit tells why.
            self._finish(None)
            return
        self._share.begin()
        self._connection.receive_data(data)
        self._work()

    def _work(self) -> None:
        """Hand over what has been read, for a slice of time; then others have their turn."""
        try:
            while self._open and not self._share.over():
                message = self._connection.next_message()
                if message is NEED_DATA:
                    return
                self._on_message(cast("WorkerMessage", message))  # the host's end reads no other
        except RemoteProtocolError as breach:
            self._finish(breach)
        if self._open:
            self._loop.remove_reader(self._read_fd)
            self._pause = self._loop.call_later(self._share.end(), self._resume)

    def _resume(self) -> None:
        self._listen()
        self._share.begin()
        self._work()

    def _finish(self, cause: RemoteProtocolError | OSError | None) -> None:
        if self._open:
            self.close()
            self._on_end(cause)

    def excuse(self, seconds: float) -> None:
        """What `on_message` spent on a bridge's work does not count as the worker's talking."""
        self._share.excuse(seconds)

    def is_unread(self) -> bool:
        """Whether the worker has read nothing of what was written; ask before the pipe is closed."""
        import fcntl  # only for a worker that went

        waiting = fcntl.ioctl(self._write_fd, _FIONREAD, bytes(4))
        return int.from_bytes(waiting, sys.byteorder) == self._written_bytes

    def close(self) -> None:
        """Stop reading and writing; senders that wait are let go. The descriptors stay open."""
        if self._open:
            self._open = False
            self._rest = memoryview(b"")
            self._loop.remove_reader(self._read_fd)
            if self._pause:
                self._pause.cancel()
            self._release()


def _widen(fd: int) -> None:
    """Let a pipe hold more, if we may: the kernel bounds what one user's pipes hold in all (pipe(7))."""
    import fcntl  # only for who moves a lot

    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, _F_SETPIPE_SZ, MOST_READ)
