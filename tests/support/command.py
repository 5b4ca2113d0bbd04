"""The command `llmspell-supervisor`, run as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

OUR_VARIABLES = ("LLMSPELL_", "OPENAI_", "ANTHROPIC_", "LITELLM_", "PYTHON", "XDG_")
"""Prefixes of what a developer may have set and a test must not depend on."""
PROGRAM = (sys.executable, "-m", "llmspell_supervisor")
TIMEOUT = 50
"""Seconds for a command that a test waits for; below the limit of the test itself."""


def plain_environment(home: Path) -> dict[str, str]:
    """Variables for a command under test: a home of its own, none of the user's keys."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OUR_VARIABLES)}
    return {**kept, "HOME": str(home)}


@dataclass(frozen=True)
class Command:
    """Runs the command in `folder`, with `environment`."""

    environment: Mapping[str, str]
    folder: Path

    def __call__(
        self, *arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end. `env` adds to the environment; output that is not UTF-8 is an error."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            timeout=TIMEOUT,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    @contextmanager
    def started(
        self, *arguments: str, stderr: int | IO[str] = subprocess.PIPE
    ) -> Iterator[subprocess.Popen[str]]:
        """The command while it runs; killed at the end if it still does."""
        with subprocess.Popen(
            [*PROGRAM, *arguments],
            text=True,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
