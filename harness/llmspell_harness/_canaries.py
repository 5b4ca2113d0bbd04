"""Secrets in every place that an attack might reach, and the search for them in all that comes out.

An exit code proves little; a canary in the wrong place proves everything. Tokens are random per
stage. Where they are is told to attacks (`targets`); what they are is known here alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ._program import folder_maker

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from types import TracebackType

PLACES: Final = ("environment", "heap", "file", "http", "unix", "abstract", "neighbour")
_VARIABLE: Final = "LLMSPELL_CANARY"
_QUESTION: Final = 4096
_TURNS: Final = 10
"""Turns of the event loop that a connection takes from the kernel's queue to `visits`, and more."""
_PROGRAM: Final = "tool"
"""An executable in the canaries' folder, which makes the folder that its last argument names."""
_SCRIPT: Final = "script"
"""A file whose first line names that program as its interpreter."""


class Canaries:
    """Plants the tokens, serves those that are served, and finds them again."""

    def __init__(self) -> None:
        self.tokens = {place: f"canary-{place}-{secrets.token_hex(12)}" for place in PLACES}
        self.visits: list[str] = []
        """Who was called upon: a connection is a leak, whatever was said."""
        self._heap = self.tokens["heap"].encode()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        os.environ[_VARIABLE] = self.tokens["environment"]
        self._stack.callback(os.environ.pop, _VARIABLE, None)
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="llmspell-canary-"))
        self.folder = Path(folder)
        # Open to all: it is our walls that keep a worker out, not the modes of files.
        self.folder.chmod(0o777)
        self.file = self.folder / "secret.txt"
        self.file.write_text(self.tokens["file"])
        self.file.chmod(0o666)
        self._plant(_PROGRAM, folder_maker())
        self._plant(_SCRIPT, b"#!" + bytes(self.folder / _PROGRAM) + b"\n")
        await self._serve()
        self._before = self._state()
        return self

    def _plant(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o755)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _serve(self) -> None:
        web = await asyncio.start_server(self._web, "127.0.0.1", 0)
        self._http_port = web.sockets[0].getsockname()[1]
        self._unix = self.folder / "service.sock"
        path = await asyncio.start_unix_server(self._service("unix"), self._unix)
        self._unix.chmod(0o666)
        self._abstract = f"llmspell-{secrets.token_hex(8)}"
        hidden = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        hidden.bind(f"\0{self._abstract}")
        name = await asyncio.start_unix_server(self._service("abstract"), sock=hidden)
        for server in (web, path, name):
            self._stack.callback(server.close)

    async def _web(self, reader: StreamReader, writer: StreamWriter) -> None:
        await self._answer("http", reader, writer, "HTTP/1.0 200 OK\r\n\r\n")

    def _service(self, place: str) -> Any:
        async def answer(reader: StreamReader, writer: StreamWriter) -> None:
            await self._answer(place, reader, writer, "")

        return answer

    async def _answer(
        self, place: str, reader: StreamReader, writer: StreamWriter, head: str
    ) -> None:
        self.visits.append(place)
        with contextlib.suppress(OSError):
            await reader.read(_QUESTION)
            writer.write((head + self.tokens[place]).encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    @property
    def targets(self) -> dict[str, Any]:
        """Where to look: paths, ports, names, pids of the host, an address in our heap."""
        return {
            "folder": str(self.folder),
            "file": str(self.file),
            "program": str(self.folder / _PROGRAM),
            "script": str(self.folder / _SCRIPT),
            "http_port": self._http_port,
            "unix": str(self._unix),
            "abstract": self._abstract,
            "variable": _VARIABLE,
            "supervisor": os.getpid(),
            "heap": [id(self._heap), len(self._heap) + 64],
        }

    def listener(self) -> Listener:
        """A search through one stream of bytes."""
        return Listener({place: token.encode() for place, token in self.tokens.items()})

    def search(self, data: bytes) -> list[str]:
        """The places whose token is in there."""
        listener = self.listener()
        listener.hear(data)
        return listener.found

    async def disturbed(self) -> list[str]:
        """What has changed on the host: files of ours, services that were called upon."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        now = self._state()
        changes = [f"changed: {name}" for name in now.keys() | self._before.keys()
                   if now.get(name) != self._before.get(name)]  # fmt: skip
        changes += [f"visited: {place}" for place in self.visits]
        self.visits.clear()
        self._before = now
        return sorted(changes)

    def _state(self) -> dict[str, tuple[int, ...]]:
        facts: dict[str, tuple[int, ...]] = {}
        for path in (self.folder, *self.folder.rglob("*")):
            found = path.lstat()
            facts[path.name] = (found.st_mode, found.st_size, found.st_mtime_ns, found.st_uid)
        return facts


class Listener:
    """Hears everything that leaves one worker, and remembers only what was stolen."""

    def __init__(self, tokens: dict[str, bytes]) -> None:
        self._tokens = tokens
        self._tail = b""
        self.found: list[str] = []
        self._overlap = max(map(len, tokens.values())) - 1

    def hear(self, data: bytes) -> None:
        """The next bytes; a token may be cut between two calls."""
        text = self._tail + data
        self.found += [
            place
            for place, token in self._tokens.items()
            if token in text and place not in self.found
        ]
        self._tail = text[-self._overlap :]
