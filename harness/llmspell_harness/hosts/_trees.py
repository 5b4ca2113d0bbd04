"""A tree of daemons, grown in a worker that may fork, and how long it outlives its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from llmspell_supervisor import _strays

from .._canaries import Canaries
from .._stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZE: Final = 64
"""Daemons; each has left its parent, its session and every signal but SIGKILL behind."""
FORKING: Final = frozenset({"seccomp", "zygote_seccomp", "rlimits_closed", "cgroup"})
"""Layers that are left out, or there would be no tree."""
PATIENCE: Final = 10.0
"""Seconds for a tree to grow, which takes 0.2, and for the last of it to go, which takes 0.01."""
_GLANCE: Final = 0.005
_ATTACK: Final = "O04 tree"
_DOOMED: Final = f"from {__name__} import doomed; doomed()"


class Lasted(Struct, frozen=True):
    """Seconds from a decision to the death of the last process, over several trees."""

    median: float
    worst: float

    def __str__(self) -> str:
        return f"median {self.median * 1000:.1f} ms, worst {self.worst * 1000:.1f} ms"


def summary(times: Sequence[float]) -> Lasted:
    """What to say of several trees."""
    return Lasted(statistics.median(times), max(times))


class Stunted(Exception):
    """The tree did not grow: there is nothing that could outlive anything."""


async def after_a_kill(stage: Stage) -> float:
    """Seconds from the cancellation of a run to the end of its tree. `stage` lacks `FORKING`.

    Raises `TimeoutError` when something of it lives on, `Stunted` when there was no tree.
    """
    others = frozenset(child for z in zygotes(os.getpid()) for child in _strays.children(z))
    run = asyncio.create_task(stage.run(_ATTACK, "lua", params={"tree": SIZE}))
    try:
        try:
            _zygote, *tree = await _grown(os.getpid(), others)  # it lives on, and forks for others
        except Stunted as error:
            raise Stunted(f"{error}: {run.result() if run.done() else 'its run goes on'}") from None
        with _held(tree) as pidfds:
            waiting = asyncio.get_running_loop().run_in_executor(None, _until_gone, pidfds)
            began = time.monotonic()
            run.cancel()
            return await waiting - began
    finally:
        run.cancel()
        await asyncio.wait([run])


async def after_sigkill() -> float:
    """Seconds from SIGKILL of a whole supervisor to the end of its tree and of its zygote."""
    with tempfile.TemporaryDirectory(prefix="llmspell-doomed-") as folder:
        supervisor = subprocess.Popen(  # noqa: ASYNC220, S603 - a spawn takes a millisecond
            [sys.executable, "-c", _DOOMED],
            env={**os.environ, "TMPDIR": folder, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
        )
        try:
            tree = await _grown(supervisor.pid)
            with _held(tree) as pidfds:
                began = time.monotonic()
                supervisor.kill()
                return _until_gone(pidfds) - began
        finally:
            supervisor.kill()
            supervisor.wait()


def doomed() -> None:
    """The program that is killed: a supervisor with such a tree."""
    asyncio.run(_doomed())


async def _doomed() -> None:
    async with Canaries() as canaries, Stage(canaries, skip=FORKING) as stage:
        await stage.run(_ATTACK, "lua", params={"tree": SIZE}, policy={"timeout": 60.0})


async def _grown(supervisor: int, others: frozenset[int] = frozenset()) -> list[int]:
    """The pids of the zygote, the worker and the daemons, once all are there beside `others`.

    Raises `Stunted`.
    """
    most = 0
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for zygote in zygotes(supervisor):
            new = set(_strays.children(zygote)) - others
            found = [pid for pid in new if _lives(pid)]
            if len(found) > SIZE:
                return [zygote, *found]
            most = max(most, len(found))
        await asyncio.sleep(_GLANCE)
    raise Stunted(f"{most} of {SIZE} daemons were there within {PATIENCE:g} s")


def _lives(pid: int) -> bool:
    """Whether it has not ended; what has ended waits for its zygote to notice."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


def zygotes(supervisor: int) -> Iterator[int]:
    """Pid 1 of each namespace that this process has had made; any thread may have spawned it."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{supervisor}/task"):
            for child in _strays.children(supervisor, int(thread)):
                if (first := _strays.first_process(child)) is not None:
                    yield first


@contextlib.contextmanager
def _held(pids: Sequence[int]) -> Iterator[dict[int, int]]:
    """Pidfd to pid of each: what it says of their end is true whatever becomes of the numbers."""
    pidfds = {os.pidfd_open(pid): pid for pid in pids}
    try:
        yield pidfds
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def _until_gone(pidfds: dict[int, int]) -> float:
    """When the last of them has ended. Raises `TimeoutError`."""
    poll = select.poll()
    left = set(pidfds)
    for pidfd in left:
        poll.register(pidfd, select.POLLIN)
    now = time.monotonic()
    until = now + PATIENCE
    while left:
        ended = poll.poll(max(0.0, until - now) * 1000)
        now = time.monotonic()
        if not ended:
            raise TimeoutError(f"{len(left)} of {len(pidfds)} processes live on")
        for pidfd, _ in ended:
            poll.unregister(pidfd)
            left.discard(pidfd)
    return now
