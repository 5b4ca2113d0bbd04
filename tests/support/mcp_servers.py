"""MCP servers for tests: npm's reference servers, one of our own, and hostile ones."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "mcp"
NODE = ROOT / ".venv-node" / "node_modules" / ".bin"
"""Where `make` installs the reference servers."""


def reference(name: str, *arguments: str) -> dict[str, Any]:
    """The section of one of npm's servers: everything, filesystem, memory. Skips without node."""
    program = NODE / f"mcp-server-{name}"
    if not program.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm's servers need node and npm, which this machine does not have")
        pytest.fail("npm's servers are not installed: make .venv-node/.done")
    return {"command": [str(program), *arguments]}


def ledger(**more: Any) -> dict[str, Any]:
    """The section of our own server, made with the SDK."""
    return {"command": [sys.executable, str(PROGRAMS / "ledger_server.py")], **more}


def hostile(how: str, **more: Any) -> dict[str, Any]:
    """The section of a server that misbehaves."""
    return {"command": [sys.executable, "-S", str(PROGRAMS / "hostile_server.py"), how], **more}


class WebLedger:
    """Our own server over HTTP, between `__enter__` and `__exit__`."""

    def __enter__(self) -> Self:
        self._port = 0
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Begin to listen, at the same address as before. Clients may come at once: they wait."""
        with socket.create_server(("127.0.0.1", self._port)) as listener:
            self._port = listener.getsockname()[1]
            descriptor = listener.fileno()
            self._process = subprocess.Popen(
                [sys.executable, str(PROGRAMS / "ledger_server.py"), str(descriptor)],
                pass_fds=[descriptor],
                stderr=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._port}/mcp"
