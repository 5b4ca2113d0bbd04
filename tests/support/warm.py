"""The command without its slowest part: a process that has imported libraries forks for each run.

    with WarmCommand(environment, folder) as command:
        ran = command("run", "hello.lua", folder=folder, env=environment)

A run has a process, arguments, a folder, an environment and standard streams of its own, and goes
from the command's `main` to its exit code, as one that a user types. All that it is spared are the
seconds of processor time that the imports take, which say nothing about the spell that is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class WarmCommand:
    """Runs the command from a process that is started on `__enter__` and gone after `__exit__`."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        """Where standard output and error of a run are kept until they are read."""

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self._environment,
            start_new_session=True,  # so that a run that hangs can be ended with it
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._server, contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)

    def __call__(
        self, *arguments: str, folder: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, in `folder`, with `env` as the whole environment."""
        out, err = self._folder / "stdout", self._folder / "stderr"
        job = {
            "arguments": arguments,
            "folder": str(folder),
            "environment": dict(env),
            "streams": [os.devnull, str(out), str(err)],
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def serve() -> None:
    """Fork for each job that comes on standard input, and tell its exit code."""
    from llmspell_bridges.llm import _library
    from llmspell_bridges.llm.agents import _library as agents
    from llmspell_bridges.workflow._library import engine

    _library.prefetch().result()
    agents._load()
    asyncio.run(engine())
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join()  # the one that imported: a fork wants no other thread
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            _become({**job["environment"], **_library._ENVIRONMENT}, job)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201


def _become(environment: Mapping[str, str], job: dict[str, Any]) -> None:
    """Go on as the command. Ends the process."""
    from llmspell_supervisor.__main__ import main

    for number, path in enumerate(job["streams"]):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
        os.dup2(os.open(path, flags | os.O_CLOEXEC, 0o600), number)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = job["arguments"]
    main()


if __name__ == "__main__":
    serve()
