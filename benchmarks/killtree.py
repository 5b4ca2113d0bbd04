"""Measures how long a tree of daemons outlives its end: `python benchmarks/killtree.py`.

64 processes, each of which has left its parent, its session and every signal but SIGKILL behind,
in a worker whose walls against that were left out. The time runs from the decision (a cancelled
run; SIGKILL of the whole supervisor) until the kernel has ended the last of them. What the kernel
itself takes to end as many forks of one process, all killed at once, is measured beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import signal
import time

from llmspell_harness import native
from llmspell_harness._canaries import Canaries
from llmspell_harness._stage import Stage
from llmspell_harness.hosts import _trees

ROUNDS = 20


def floor() -> float:
    """Seconds that the kernel takes to end so many forks of this process."""
    pidfds = []
    for _ in range(_trees.SIZE):
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        pidfds.append(os.pidfd_open(pid))
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    began = time.monotonic()
    for pidfd in pidfds:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for _ in pidfds:
        (ended, _), *_ = poll.poll()
        poll.unregister(ended)
    taken = time.monotonic() - began
    for pidfd in pidfds:
        os.close(pidfd)
        os.wait()
    return taken


async def measure(rounds: int) -> None:
    """Print a line for each way to end."""
    print(f"the kernel's own share: {_trees.summary([floor() for _ in range(rounds)])}")
    async with Canaries() as canaries, Stage(canaries, skip=_trees.FORKING) as stage:
        killed = [await _trees.after_a_kill(stage) for _ in range(rounds)]
    print(f"after a kill: {_trees.summary(killed)}")
    orphaned = [await _trees.after_sigkill() for _ in range(rounds)]
    print(f"after SIGKILL of the supervisor: {_trees.summary(orphaned)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    native.load()
    asyncio.run(measure(parser.parse_args().rounds))
