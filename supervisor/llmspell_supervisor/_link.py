"""The socket between the front and one of its shards: whole messages, in their order.

A message is its length (four bytes, big-endian) and that much msgpack. Both ends are trusted
processes of one program: what does not decode is a bug, and ends the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

CHUNK: Final = 256 * 1024
"""Bytes that are read at a time, before everything else that is due gets its turn."""
_HEADER: Final = 4

T = TypeVar("T")


class Link(Generic[T]):
    """One end. Belongs to one event loop; close it."""

    def __init__(
        self,
        end: socket.socket,
        decoder: msgspec.msgpack.Decoder[T],
        receive: Callable[[T], None],
        lost: Callable[[], None],
    ) -> None:
        """Takes `end` over. `lost` is called once when the other end has closed, not after `close`."""
        end.settimeout(0)
        self._end = end
        self._decode = decoder.decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._receive = receive
        self._lost = lost
        self._in = bytearray()
        self._out = bytearray()
        self._reading = self._writing = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end, self._readable)
        self._reading = True

    def send(self, message: object) -> None:
        """Send it as soon as there is room; never waits. What nobody will read is dropped.

        Raises `UnicodeEncodeError`, `OverflowError` or `TypeError` for what msgpack cannot hold, and
        has sent nothing then.
        """
        body = self._encode(message)
        if self._end.fileno() < 0:
            return
        self._out += len(body).to_bytes(_HEADER) + body
        if not self._writing:
            self._write()

    def flush(self) -> None:
        """Wait, without the event loop, until the kernel has all that was sent."""
        with contextlib.suppress(OSError):
            self._end.settimeout(None)
            self._end.sendall(self._out)
        self._out.clear()
        self._end.settimeout(0)
        self._write()

    def drain(self) -> None:
        """Receive what the other end had sent before it closed."""
        while self._reading:
            self._readable()

    def close(self) -> None:
        """Close this end; the other one is told."""
        try:
            self._stop()
        finally:  # also when the event loop is closed already
            self._end.close()

    def stop_reading(self) -> None:
        """Leave what the other end sends from now on where it is."""
        if self._reading:
            self._loop.remove_reader(self._end)
            self._reading = False

    def _write(self) -> None:
        try:
            while self._out:
                del self._out[: self._end.send(self._out)]
        except BlockingIOError:
            if not self._writing:
                self._loop.add_writer(self._end, self._write)
                self._writing = True
            return
        except OSError:  # nobody reads any more, which the reader hears of as well
            self._out.clear()
        if self._writing:
            self._loop.remove_writer(self._end)
            self._writing = False

    def _readable(self) -> None:
        try:
            data = self._end.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._stop()
            self._lost()
            return
        self._in += data
        at = 0
        while (message := self._next(at)) is not None:
            at += _HEADER + len(message)
            self._receive(self._decode(message))
        del self._in[:at]

    def _next(self, at: int) -> bytes | None:
        if len(self._in) < at + _HEADER:
            return None
        end = at + _HEADER + int.from_bytes(self._in[at : at + _HEADER])
        return bytes(self._in[at + _HEADER : end]) if len(self._in) >= end else None

    def _stop(self) -> None:
        self.stop_reading()
        if self._writing:
            self._loop.remove_writer(self._end)
            self._writing = False
        self._out.clear()
