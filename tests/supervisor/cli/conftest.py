"""The command as a person runs it: a real process, with a home of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Completed = subprocess.CompletedProcess[str]
Command = Callable[..., Completed]


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    """Runs `llmspell-supervisor ARGUMENT...` in `tmp_path`; `stdin` and `env` are optional."""

    def run(
        *arguments: str, stdin: str | bytes = b"", env: dict[str, str] | None = None
    ) -> Completed:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "llmspell_supervisor", *arguments],
            input=data,
            capture_output=True,
            cwd=tmp_path,
            env={**environment, "COLUMNS": "80", **(env or {})},
            timeout=50,
            check=False,
        )
        return Completed(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
