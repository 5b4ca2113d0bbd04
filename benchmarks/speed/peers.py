"""What peers take, measured by each one's own interface. Run by their own interpreter.

`python peers.py` answers each line `NAME COUNT` with a JSON list of seconds. A peer that is not
installed, or does not work here, answers with `{"error": ...}`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator

SECONDS = Iterator[float]
CALLS = 500
"""Host calls in one run; monty ends a run after a thousand."""


def monty_cold(count: int) -> SECONDS:
    """A pool that is made for one run: a process without walls of the operating system."""
    from pydantic_monty import Monty  # type: ignore[import-not-found]

    for _ in range(count):
        began = time.perf_counter()
        with Monty() as pool, pool.checkout() as session:
            session.feed_run("1")
            took = time.perf_counter() - began
        yield took


def monty_call(count: int) -> SECONDS:
    """A call of a host function with a kilobyte each way."""
    from pydantic_monty import Monty

    source = f"for i in range({CALLS}):\n    echo(data)"
    with Monty() as pool:
        for _ in range(count):
            with pool.checkout() as session:
                began = time.perf_counter()
                session.feed_run(
                    source, inputs={"data": "x" * 1000}, external_lookup={"echo": lambda x: x}
                )
                yield (time.perf_counter() - began) / CALLS


def sandlock_run(count: int) -> SECONDS:
    """A locked process that runs `true`."""
    from sandlock import Sandbox  # type: ignore[import-not-found]

    sandbox = Sandbox(fs_readable=["/usr", "/lib", "/lib64", "/bin", "/etc"])
    for _ in range(count):
        began = time.perf_counter()
        result = sandbox.run(["true"])
        yield time.perf_counter() - began
        if not result.success:
            raise RuntimeError(f"sandlock: {result}")


def smolagents(count: int) -> SECONDS:
    """An interpreter in this process, with no wall at all."""
    from smolagents.local_python_executor import (  # type: ignore[import-not-found]
        LocalPythonExecutor,
    )

    for _ in range(count):
        began = time.perf_counter()
        executor = LocalPythonExecutor([])
        executor.send_tools({})
        executor("1")
        yield time.perf_counter() - began


PEERS: dict[str, Callable[[int], SECONDS]] = {
    "monty cold": monty_cold,
    "monty call": monty_call,
    "sandlock": sandlock_run,
    "smolagents": smolagents,
}


def main() -> None:
    """Answer until there are no more questions."""
    for line in sys.stdin:
        name, count = line.strip().rsplit(" ", 1)
        try:
            answer: object = list(PEERS[name](int(count)))
        except Exception as error:  # noqa: BLE001 - a peer that does not work here is left out
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
