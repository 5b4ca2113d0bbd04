"""One process that serves one model: started, waited for, watched and ended from asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import secrets
import sys
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from .._errors import BridgeError
from ._config import GIB, LocalConfig

SERVER: Final = Path(__file__).with_name("_server.py")

NATIVE: Final = ("xllamacpp", "seccompy")
"""What the server's process imports besides the standard library."""

INSTALL_EXTRA: Final = "the local model needs xllamacpp: pip install 'llmspell-supervisor[local]'"

MAX_THREADS: Final = 8
"""Threads when the operator names no number. More gain little on a model that runs on CPUs, and a
thread that loses its processor stalls all the others at every layer."""

MAX_LAST_WORDS: Final = 4096
"""Bytes of the process's error output that are kept: the tail, where the reason is."""

READ_SIZE: Final = 4096

_P = TypeVar("_P")

HEALTH_TIMEOUT: Final = 2.0
"""Seconds for an answer that the server gives without touching the model."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where the model answers. `base_url` ends in /v1; `headers` must go with every request."""

    base_url: str
    api_key: str
    model: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Endpoint(base_url={self.base_url!r}, api_key='***', model={self.model!r})"


HEADERS: Final = {"Connection": "close"}
"""The server drops a connection after a stream without announcing it, so a client that keeps
connections would lose its next request in about half of the cases."""


class _Report(Struct, forbid_unknown_fields=True):
    """The process's one line."""

    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    error: str | None = None


class ModelProcess:
    """A model that is loaded and answers, in a process of its own. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._api_key = secrets.token_urlsafe(32)
        self._port = 0
        self._tail = bytearray()
        self._drain = asyncio.create_task(self._keep_tail())

    @classmethod
    async def start(cls, name: str, path: Path, size: int, config: LocalConfig) -> ModelProcess:
        """Load the GGUF of `size` bytes at `path` and wait until it answers.

        Raises BridgeError: Configuration when a package is missing or the file cannot be loaded,
        Timeout after `config.start_timeout`. Leaves no process behind when it raises.
        """
        directories = _native_directories()
        self = cls(await _spawn(), name)
        try:
            async with asyncio.timeout(config.start_timeout):
                self._send(_order(self, path, size, config, directories))
                self._port = self._checked(await self._report(), path)
        except TimeoutError:
            await self.end()
            raise _too_slow(path, config.start_timeout) from None
        except BaseException:
            await self.end()
            raise
        return self

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            base_url=f"http://127.0.0.1:{self._port}/v1",
            api_key=self._api_key,
            model=self._name,
            headers=HEADERS,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def last_words(self) -> str:
        """The last line that the process wrote, for a person; empty if there is none."""
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    async def healthy(self) -> bool:
        """Whether the server answers within `HEALTH_TIMEOUT`."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT):
                return await _is_ok(self._port)
        except (OSError, TimeoutError):
            return False

    async def end(self) -> None:
        """Kill the process and reap it. There is nothing in it to save."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._drain

    def _send(self, order: dict[str, object]) -> None:
        # Standard input stays open: its end is how the process learns that we are gone.
        _open(self._process.stdin).write(msgspec.json.encode(order) + b"\n")

    async def _report(self) -> _Report:
        try:
            line = await _open(self._process.stdout).readline()
            return msgspec.json.decode(line, type=_Report)
        except (ValueError, msgspec.DecodeError):
            await self._process.wait()
            await self._drain
            code = self._process.returncode
            return _Report(error=self.last_words or f"the process ended with status {code}")

    def _checked(self, report: _Report, path: Path) -> int:
        if report.port is not None:
            return report.port
        reason = self.last_words or report.error or "it gave no port"
        raise BridgeError(
            "Configuration",
            f"cannot load the model file {path}: {reason}; it must be a whole GGUF file that fits "
            "into the `memory` of the local model's config",
        )

    async def _keep_tail(self) -> None:
        stderr = _open(self._process.stderr)
        while chunk := await stderr.read(READ_SIZE):
            self._tail += chunk
            del self._tail[:-MAX_LAST_WORDS]


def _native_directories() -> list[str]:
    """Where the native packages are, found without importing them here."""
    found = []
    for name in NATIVE:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise BridgeError("Configuration", INSTALL_EXTRA)
        found.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(found))


def _open(pipe: _P | None) -> _P:
    if pipe is None:
        raise RuntimeError("the process was started without its pipes")
    return pipe


async def _spawn() -> asyncio.subprocess.Process:
    """Start an isolated interpreter, its environment empty, away from the terminal's signals."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", str(SERVER)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
        cwd="/",
        start_new_session=True,
    )


def _order(
    process: ModelProcess, path: Path, size: int, config: LocalConfig, directories: list[str]
) -> dict[str, object]:
    endpoint = process.endpoint
    return {
        "model": str(path),
        "name": endpoint.model,
        "api_key": endpoint.api_key,
        "import_from": directories,
        "context": config.context,
        "max_tokens": config.max_tokens,
        "parallel": config.parallel,
        "threads": config.threads or min(len(os.sched_getaffinity(0)), MAX_THREADS),
        # The file itself is mapped, not allocated; twice its size leaves room for a long context.
        "memory": config.memory or GIB + 2 * size,
        "idle": config.idle,
    }


def _too_slow(path: Path, seconds: float) -> BridgeError:
    return BridgeError(
        "Timeout",
        f"the model file {path} was not loaded within {seconds:g} s; raise start_timeout",
        duration=seconds,
    )


async def _is_ok(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = await reader.readline()
    finally:
        writer.close()
    return status.split(b" ")[1:2] == [b"200"]
