"""A server that is a program of this machine: started under its guard, spoken to over pipes.

The library has a transport for that as well. It reads lines of any length, hands on the user's
environment, and lets go of a server that does not end. Imports the library; see `_library.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from typing import Final

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse

from .._errors import BridgeError, one_line
from ._config import McpServerConfig
from ._grants import environment
from ._guard import Order
from ._wire import MAX_MESSAGE, Excess, Pace, parse

GUARD: Final = os.path.join(os.path.dirname(__file__), "_guard.py")

MAX_LAST_WORDS: Final = 4096
"""Bytes of a server's error output that are kept: the tail, where the reason is."""

GOODBYE: Final = 0.5
"""Seconds that a server has to end by itself once its input is closed, as the protocol has it."""

END: Final = 2.0
"""Seconds for the guard to kill and collect the server's processes; then it is killed itself."""

_log = logging.getLogger(__name__)

Incoming = SessionMessage | Exception


class ProcessLink:
    """The transport: enter it once for the streams of messages; after it, no process is left."""

    def __init__(self, name: str, config: McpServerConfig) -> None:
        self.ended: asyncio.Event = asyncio.Event()
        """Set when nothing more will come from the server."""
        self.why: str = "has ended"
        """What a script is told then, after the server's name."""
        self._name = name
        self._config = config
        self._pace = Pace()
        self._asked: set[int | str] = set()
        self._tail = bytearray()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(
        self,
    ) -> tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]:
        """Start the server. Raises `BridgeError` of kind `Configuration`."""
        granted = environment(self._name, self._config)
        command = _program(self._name, self._config, granted.get("PATH", os.defpath))
        self._process = await _spawn(self._config, command, granted)
        self._pidfd = os.pidfd_open(self._process.pid)
        arriving, incoming = anyio.create_memory_object_stream[Incoming](0)
        outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](0)
        self._streams = (arriving, incoming, outgoing, leaving)
        self._tasks = [
            asyncio.create_task(self._read(arriving)),
            asyncio.create_task(self._write(leaving)),
            asyncio.create_task(self._keep_tail()),
        ]
        return incoming, outgoing

    async def __aexit__(self, *_: object) -> None:
        """End the server and all that it has started."""
        process = self._process
        assert process.stdin is not None
        try:
            process.stdin.close()
            if not self.ended.is_set():
                await self._gone(GOODBYE)
        finally:
            await self._end()
            for stream in self._streams:
                stream.close()

    async def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)
            if await self._gone(END):
                break
        os.close(self._pidfd)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        if words := self._tail.decode("utf-8", "replace").strip():
            # For the operator: to a script it would be a stranger's text, with who knows what in it.
            _log.info("MCP server %s: last words: %s", self._name, one_line(words.splitlines()[-1]))

    async def _gone(self, seconds: float) -> bool:
        """Whether the guard, and so the server, is gone within that time."""
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def _read(self, arriving: MemoryObjectSendStream[Incoming]) -> None:
        assert self._process.stdout is not None
        try:
            async with arriving:
                while True:
                    line = await self._process.stdout.readuntil(b"\n")
                    message = await parse(line)
                    if self._is_unasked(message):
                        self._pace.spend(len(line))
                    if message is not None:
                        await arriving.send(message)
        except asyncio.IncompleteReadError:
            pass  # its end
        except asyncio.LimitOverrunError:
            self.why = f"sent a message of more than {MAX_MESSAGE} bytes"
        except Excess as excess:
            self.why = str(excess)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
            pass  # ours
        finally:
            self.ended.set()

    def _is_unasked(self, message: SessionMessage | None) -> bool:
        found = None if message is None else message.message
        if isinstance(found, JSONRPCResponse | JSONRPCError) and found.id in self._asked:
            self._asked.remove(found.id)
            return False
        return True

    async def _write(self, leaving: MemoryObjectReceiveStream[SessionMessage]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(ConnectionError, anyio.ClosedResourceError):
            async with leaving:
                async for outgoing in leaving:
                    message = outgoing.message
                    if isinstance(message, JSONRPCRequest):
                        self._asked.add(message.id)
                    text = message.model_dump_json(by_alias=True, exclude_unset=True)
                    stdin.write(f"{text}\n".encode())
                    await stdin.drain()

    async def _keep_tail(self) -> None:
        assert self._process.stderr is not None
        while piece := await self._process.stderr.read(MAX_LAST_WORDS):
            self._tail += piece
            del self._tail[:-MAX_LAST_WORDS]


async def _spawn(
    config: McpServerConfig, command: list[str], granted: dict[str, str]
) -> asyncio.subprocess.Process:
    order = Order(
        parent=os.getpid(),
        command=command,
        cwd=config.cwd or "/",
        memory=config.memory,
        cpu=config.cpu,
    )
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", GUARD, msgspec.json.encode(order).decode()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=granted,
        cwd="/",
        start_new_session=True,
        limit=MAX_MESSAGE,
    )


def _program(name: str, config: McpServerConfig, search: str) -> list[str]:
    program, *arguments = config.command
    # Relative to where it will run, as the kernel would find it.
    given = os.path.join(config.cwd or "/", program) if "/" in program else program
    path = shutil.which(given, path=search)
    if path is None:
        message = f"MCP server {name}: there is no program '{program}': install it or name its path"
        raise BridgeError("Configuration", message, field=f"mcp.servers.{name}.command")
    return [path, *arguments]
