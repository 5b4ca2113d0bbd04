"""Hostile input is parsed in a process of its own, which is killed when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Any, Final

import msgspec

from .._context import CallContext
from .._errors import BridgeError

MAX_INPUT: Final = 32 << 20
"""Bytes of one job: the largest of what tools are given is a scanned PDF."""

BUSY: Final = 3
"""Seconds by the clock for one of computing: on a busy machine a process has a part of a core."""

MAX_AT_ONCE: Final = 4
"""Jobs of this process's spells together: each may take a gigabyte and a core."""

_ENVELOPE: Final = 64
"""Bytes around an answer."""

_PIECE: Final = 1 << 16
"""Bytes that are read at once: what a pipe holds."""

_PROGRAM: Final = os.path.join(os.path.dirname(__file__), "_parsers.py")
"""Started as a file: as a module, it would import the packages around it first."""


class Parsers:
    """Runs jobs, a few at once. Belongs to one event loop."""

    def __init__(self, seconds: int) -> None:
        """The kernel stops a job after `seconds` of computing."""
        self._seconds = seconds
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self, ctx: CallContext, field: str, name: str, *arguments: Any) -> Any:
        """What the parser `name` makes of `arguments`. Raises `BridgeError` that names `field`.

        The answer has at most `max_response` bytes. Cancelled, it leaves no process behind.
        """
        job = msgspec.msgpack.encode([name, arguments])
        if len(job) > MAX_INPUT:
            raise BridgeError("Limit", f"{field}: more than {MAX_INPUT} bytes", field=field)
        most = ctx.policy.max_response
        async with self._slots:
            try:
                async with asyncio.timeout(min(BUSY * self._seconds, ctx.call_timeout())):
                    data = await _run(job, most, self._seconds)
            except TimeoutError:
                raise _too_much(field) from None
        if data is None:
            message = f"{field}: the result is larger than max_response, {most} bytes"
            raise BridgeError("Limit", message, field=field)
        try:
            outcome, value = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, ValueError):
            # It ended without a word: the kernel stopped it, or its library crashed.
            raise _too_much(field) from None
        if outcome != "ok":
            raise BridgeError("Validation", f"{field}: {value}", field=field)
        return value


def _too_much(field: str) -> BridgeError:
    return BridgeError("Limit", f"{field}: takes too much time or memory to work off", field=field)


async def _run(job: bytes, most: int, seconds: int) -> bytes | None:
    """What the process answered; none if that was more than `most` bytes and an envelope."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-X", "utf8", _PROGRAM, str(seconds),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # what libraries say of their input is hostile as well
        cwd="/",
        env={},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(ConnectionError):  # it died; what it said is looked at later
            process.stdin.write(job)
            await process.stdin.drain()
        process.stdin.close()
        data = bytearray()
        while piece := await process.stdout.read(_PIECE):
            data += piece
            if len(data) > most + _ENVELOPE:
                await _kill(process, process.stdout)
                return None
        await process.wait()
    except BaseException:
        await _kill(process, process.stdout)
        raise
    return bytes(data)


async def _kill(process: asyncio.subprocess.Process, pipe: asyncio.StreamReader) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    while await pipe.read(_PIECE):  # what is unread would keep the pipe open
        pass
    await process.wait()
