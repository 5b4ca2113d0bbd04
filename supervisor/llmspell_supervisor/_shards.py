"""The front of several supervisor processes: gives each run to the one that has the fewest.

Who may run, the audit log and the callbacks are here; a shard has the event loop, the zygotes, the
pool and the bridges. A shard that dies is started again. Its runs end as `supervisor_error`, but for
those of which no worker had been sent the script: another shard runs them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Mapping
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from llmspell_bridges import BridgeRegistry

from . import _ending, _shard
from ._errors import SupervisorError
from ._link import Link
from ._pending import Pending, ShardDied
from ._pool import PoolSize
from ._report import RunReport
from ._shard_messages import (
    Abandoned,
    Active,
    Called,
    Ended,
    Failed,
    Heard,
    Logged,
    Opened,
    Said,
    Setup,
    Started,
    Stop,
    ToFront,
    begin,
    error_of,
    log,
)

if TYPE_CHECKING:
    from llmspell_bridges import Bridge

    from ._job import Job
    from ._policy import Policy

OPEN_TIMEOUT: Final = 60.0
"""Seconds for a shard to start: it takes half a second, or as long as the main module's import."""
END_TIMEOUT: Final = 15.0
"""Seconds for runs to end that are cancelled, three times what a bridge has to clean up. A shard that
does not answer within it is ended with them."""
CLOSE_TIMEOUT: Final = 10.0
"""Seconds for a shard to end once its runs are over, which takes milliseconds: bridges may have
servers and databases to close. Past it, it is killed."""
ATTEMPTS: Final = 3
"""Shards that one run may lose before a worker was sent its script."""
POLICIES: Final = 64
"""Policies that are kept encoded."""

_GUARD: Final = "keep what a script does behind 'if __name__ == \"__main__\":'"

_log = logging.getLogger(__name__)


class Shards:
    """Every shard of one supervisor. Open it, and close it."""

    def __init__(
        self,
        count: int,
        *,
        bridges: Mapping[str, Any],
        model: str | None,
        pool: PoolSize,
    ) -> None:
        """Start nothing yet. `pool` is for all of them together."""
        self._setups = [
            Setup(
                front=os.getpid(),
                shards=count,
                bridges=dict(bridges),
                model=model,
                pool=_part(pool, number, count),
                levels=_levels(),
            )
            for number in range(count)
        ]
        self._shards: list[_Shard] = []
        self._runs: dict[Pending, asyncio.Future[None]] = {}
        self._closing = False

    async def open(self) -> None:
        """Start them all. Raises `SupervisorError`; close it then, too."""
        resource_tracker.ensure_running()  # before signals are blocked: it would let them through
        atexit.register(self._let_go)
        self._shards = [_Shard(setup, self._died) for setup in self._setups]
        await asyncio.gather(*(shard.opened() for shard in self._shards))

    async def close(self) -> None:
        """End every run with the verdict `cancelled`, and every shard."""
        self._closing = True
        self.cancel_all()
        try:
            if self._runs:
                await asyncio.wait(self._runs.values(), timeout=END_TIMEOUT)
            await asyncio.gather(*(shard.close() for shard in self._shards))
            if self._runs:  # of a shard that did not answer any more
                await asyncio.wait(self._runs.values())
        finally:
            atexit.unregister(self._let_go)

    async def run(self, job: Job) -> RunReport:
        """Run it in the shard that has the fewest. Raises as `Supervisor.run`."""
        if self._closing:
            raise SupervisorError("this supervisor is not open", "use it inside 'async with'")
        pending = Pending(job)
        over = self._runs[pending] = asyncio.get_running_loop().create_future()
        try:
            return await self._run(pending)
        finally:
            del self._runs[pending]
            over.set_result(None)

    def cancel_all(self) -> None:
        """End every run with the verdict `cancelled`."""
        for pending in self._runs:
            pending.cancel()

    def registry(self, registry: BridgeRegistry) -> BridgeRegistry:
        """The same bridges, to be looked at only."""
        return _Declared(registry)

    async def _run(self, pending: Pending) -> RunReport:
        for attempt in range(1, ATTEMPTS + 1):
            shard = await self._least_loaded(pending)
            if shard is None:
                return pending.report(_ending.cancelled())
            try:
                return await shard.run(pending)
            except ShardDied:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError

    async def _least_loaded(self, pending: Pending) -> _Shard | None:
        """The open shard with the fewest runs, once there is one. None for a cancelled run."""
        while not pending.cancelled:
            if there := [shard for shard in self._shards if shard.is_open]:
                return min(there, key=lambda shard: shard.load)
            await self._any_opened(pending)
        return None

    async def _any_opened(self, pending: Pending) -> None:
        """Wait for one of them to open. Raises its error if none does."""
        for number, shard in enumerate(self._shards):
            if shard.is_dead:
                self._shards[number] = _Shard(self._setups[number], self._died)
        waiting = [asyncio.ensure_future(shard.opened()) for shard in self._shards]
        wanted = asyncio.ensure_future(pending.unwanted.wait())
        try:
            left = {*waiting, wanted}
            while left != {wanted}:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                if wanted in done or any(task.exception() is None for task in done):
                    return
            waiting[0].result()
        finally:
            for task in (*waiting, wanted):
                task.cancel()
            await asyncio.gather(*waiting, wanted, return_exceptions=True)

    def _died(self, shard: _Shard) -> None:
        """Start another one at once, if it had been at work; else when a run comes."""
        _log.warning("%s; %d runs ended with it", shard.epitaph, shard.lost)
        if self._closing or not shard.was_open:
            return
        number = self._shards.index(shard)
        try:
            self._shards[number] = _Shard(self._setups[number], self._died)
        except SupervisorError as error:
            _log.warning("%s", error)

    def _let_go(self) -> None:
        """At the end of the interpreter, if nobody has closed us: it waits for every process."""
        for shard in self._shards:
            shard.let_go()


class _Shard:
    """The front's end of one shard. Used once: one that has died is replaced by another."""

    def __init__(self, setup: Setup, died: Callable[[_Shard], None]) -> None:
        """Start it. Raises `SupervisorError`."""
        self._died = died
        self._runs: dict[int, Pending] = {}
        self._loop = asyncio.get_running_loop()
        self._open: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.lost = 0
        """Runs that ended because it has died."""
        self.epitaph = ""
        self._closing = False
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(
            target=_shard.main, args=(theirs, setup), name="llmspell shard"
        )
        try:
            self._pidfd = _start(self._process)
        except OSError as error:
            ours.close()
            raise SupervisorError(f"a shard was not started: {error.strerror}") from None
        except RuntimeError:  # of multiprocessing, which is importing the main module
            ours.close()
            raise SupervisorError(
                "a shard was not started: the main module starts shards while a shard imports it",
                _GUARD,
            ) from None
        finally:
            theirs.close()
        self._link: Link[ToFront] = Link(
            ours, msgspec.msgpack.Decoder(ToFront), self._receive, self._kill
        )
        self._timer = self._loop.call_later(OPEN_TIMEOUT, self._kill)
        self._loop.add_reader(self._pidfd, self._gone)

    @property
    def is_open(self) -> bool:
        """Whether it takes runs."""
        return self.was_open and not self.is_dead

    @property
    def was_open(self) -> bool:
        """Whether it ever did."""
        return self._open.done() and self._open.exception() is None

    @property
    def is_dead(self) -> bool:
        """Whether it has ended."""
        return self._ended.done()

    @property
    def load(self) -> int:
        """Its runs."""
        return len(self._runs)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process.pid is not None
        return self._process.pid

    async def opened(self) -> None:
        """Wait until it takes runs. Raises `SupervisorError` if it died before."""
        await asyncio.shield(self._open)

    async def run(self, pending: Pending) -> RunReport:
        """Run it. Raises `ShardDied` if that was before a worker had the script."""
        job = pending.job
        pending.begin(lambda abandon: self._link.send(Stop(job.number, abandon)))
        try:
            self._link.send(begin(job, _packed(job.policy)))
        except UnicodeEncodeError:
            raise SupervisorError(
                "the policy names a path that is not text, which no shard can be told",
                "rename it, or leave out shards",
            ) from None
        self._runs[job.number] = pending
        try:
            return await asyncio.shield(pending.outcome)
        except asyncio.CancelledError:
            pending.abandon()
            while not pending.outcome.done():  # its worker is dead then
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait((pending.outcome,))
            raise
        finally:
            self._runs.pop(job.number, None)

    async def close(self) -> None:
        """End it, and wait for its end."""
        self._closing = True
        self._link.close()
        timer = self._loop.call_later(CLOSE_TIMEOUT, self._kill)
        try:
            await asyncio.shield(self._ended)
        finally:
            timer.cancel()

    def let_go(self) -> None:
        """Close the link, which ends it; there may be no event loop any more."""
        with contextlib.suppress(RuntimeError, OSError):
            self._link.close()

    def _kill(self) -> None:
        if not self.is_dead:
            self._process.kill()

    def _receive(self, message: ToFront) -> None:
        match message:
            case Opened():
                self._timer.cancel()
                self._open.set_result(None)
            case Logged():
                log(message)
            case Failed(run=0):
                self._fail(error_of(message))
            case _ if pending := self._runs.get(message.run):
                self._about(pending, message)

    def _about(self, pending: Pending, message: ToFront) -> None:
        match message:
            case Started():
                pending.started = True
            case Active(_, word):
                pending.active(word)
            case Said(_, entry):
                pending.said(entry)
            case Called(run, record):
                if pending.called(record):
                    self._link.send(Heard(run))
            case Ended():
                pending.ended(message)
            case Failed():
                pending.failed(error_of(message))
            case Abandoned():
                pending.abandoned()

    def _fail(self, error: SupervisorError) -> None:
        """It could not open, or it could not close."""
        if self._open.done():
            _log.warning("%s", error)
            return
        self._open.set_exception(error)
        self._open.exception()  # marked as seen: several may wait, or nobody

    def _gone(self) -> None:
        """Its process has ended: what it had said still counts."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._link.drain()
        self._link.close()
        self._timer.cancel()
        self._process.join()
        self.epitaph = f"a shard has died ({_how(self._process.exitcode or 0)})"
        self._process.close()
        self._ended.set_result(None)
        if not self._open.done():
            self._fail(
                SupervisorError(
                    f"{self.epitaph} before it was open",
                    f"see its own words on standard error; {_GUARD}",
                )
            )
        runs = tuple(self._runs.values())
        self.lost = sum(pending.started for pending in runs)
        for pending in runs:
            pending.died(self.epitaph)
        if not self._closing:
            self._died(self)


class _Declared(BridgeRegistry):
    """What bridges there are, where none can be added."""

    def __init__(self, registry: BridgeRegistry) -> None:
        super().__init__()
        self._bridges = registry._bridges
        self._methods = registry._methods

    def add(self, bridge: Bridge) -> NoReturn:
        """Raises `SupervisorError`."""
        raise _not_here(f"bridge '{bridge.name}' cannot be added")

    async def remove(self, name: str) -> NoReturn:
        """Raises `SupervisorError`."""
        raise _not_here(f"bridge '{name}' cannot be removed")


def _not_here(what: str) -> SupervisorError:
    return SupervisorError(
        f"{what}: each shard makes its own bridges",
        "declare it as an entry point of the group llmspell.bridges, or leave out shards",
    )


def _start(process: multiprocessing.process.BaseProcess) -> int:
    """Start a process; its pidfd. Raises `OSError`, or `RuntimeError` of a main that starts itself."""
    # It is born with the signal blocked, and unblocks it when it can bear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert process.pid is not None
    return os.pidfd_open(process.pid)


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _part(pool: PoolSize, number: int, count: int) -> PoolSize:
    """What one of several shards has of a pool; at least one worker, if there is a pool."""
    low, high = ((n + count - 1 - number) // count for n in (pool.low, pool.high))
    return PoolSize(low, max(high, 1) if pool.high else 0)


def _levels() -> dict[str, int]:
    """The levels that somebody has set, by the name of the logger."""
    loggers = logging.getLogger().manager.loggerDict.items()
    named = {n: x.level for n, x in loggers if isinstance(x, logging.Logger) and x.level}
    return {**named, "root": logging.getLogger().level}


@functools.lru_cache(maxsize=POLICIES)
def _packed(policy: Policy) -> bytes:
    return msgspec.msgpack.encode(policy)
