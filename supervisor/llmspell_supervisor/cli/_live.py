"""A run on its event loop: signals, the status line, and what a cancelled run reports."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from .._pool import NO_POOL
from .._report import Problem, RunReport, Usage
from .._supervisor import Supervisor
from . import _status

if TYPE_CHECKING:
    from .._ahead import Ahead
    from ._console import Console
    from ._run import Job

GRACE: Final = 2.0
"""Seconds that a cancelled run has to make its report; it takes milliseconds."""


class Interrupted:
    """Which signal ended the run, if one did, and how it does so."""

    def __init__(self) -> None:
        self.signal = 0
        self.stop: Callable[[], None] | None = None
        """Ends the run, from any thread or handler; none before the run has begun."""


def live(
    job: Job, ahead: Ahead | None, console: Console, interrupted: Interrupted, *, quiet: bool
) -> RunReport:
    """Run `job` to its end. `ahead` is what was begun for it."""
    # Before the loop, which then leaves Ctrl-C to us.
    with _signals(interrupted):
        return asyncio.run(_run(job, ahead, console, interrupted, quiet=quiet))


async def _run(
    job: Job, ahead: Ahead | None, console: Console, interrupted: Interrupted, *, quiet: bool
) -> RunReport:
    began = time.monotonic()
    line = _status.StatusLine(job.spell.name)
    supervisor = Supervisor(
        job.config,
        model=job.model,
        pool=NO_POOL,
        on_log=console.log,
        on_activity=line.activity,
        on_call=job.lesson.observe if job.lesson else None,
        audit=job.audit,
        ahead=ahead,
    )
    task = asyncio.create_task(_cast(job, supervisor))
    stop = functools.partial(_stop, supervisor, task)
    loop = asyncio.get_running_loop()
    console.on_lost = interrupted.stop = functools.partial(_from_thread, loop, stop)
    if interrupted.signal:
        stop()
    try:
        with _shown(line, console, quiet=quiet):
            return await task
    except asyncio.CancelledError:
        return _cancelled(job, time.monotonic() - began)


def _from_thread(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over anyway
        loop.call_soon_threadsafe(stop)


async def _cast(job: Job, supervisor: Supervisor) -> RunReport:
    async with supervisor:
        return await supervisor.run(
            job.spell, params=job.params, policy=job.resolved.policy, dry_run=job.dry_run
        )


def _stop(supervisor: Supervisor, task: asyncio.Task[RunReport]) -> None:
    """End the run with its own report, or, when it has not begun or hangs, without."""
    supervisor.cancel_all()
    asyncio.get_running_loop().call_later(GRACE, task.cancel)


@contextlib.contextmanager
def _shown(line: _status.StatusLine, console: Console, *, quiet: bool) -> Iterator[None]:
    """The status line beside a run, where there is a terminal for it."""
    if not _status.wanted(quiet=quiet):
        yield
        return
    console.before_write = lambda open_line: line.close() if open_line else line.arm()
    line.arm()
    try:
        yield
    finally:
        console.before_write = lambda _: line.close()
        line.close()


@contextlib.contextmanager
def _signals(interrupted: Interrupted) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM cancels the run; a second ends the process on the spot.

    Nothing is left behind either way: the zygote dies with its supervisor, and workers with it.
    """
    handled = (signal.SIGINT, signal.SIGTERM)

    def arrived(number: int, _: object) -> None:
        interrupted.signal = number
        for each in handled:
            signal.signal(each, signal.SIG_DFL)
        if interrupted.stop is not None:
            interrupted.stop()

    # Not `loop.add_signal_handler`, which asks `inspect` about the handler: 6 ms of a run.
    before = {number: signal.signal(number, arrived) for number in handled}
    try:
        yield
    finally:
        if not interrupted.signal:
            for number, handler in before.items():
                signal.signal(number, handler)


def _cancelled(job: Job, wall: float) -> RunReport:
    """The report of a run that was cancelled before it could make its own."""
    return RunReport(
        spell=job.spell.name,
        engine=job.spell.engine,
        verdict="cancelled",
        problem=Problem(message="cancelled before the spell began"),
        usage=Usage(wall=wall),
        policy=job.resolved.policy,
    )
