"""A shard: one supervisor process of several, behind the front that takes the runs.

It has an event loop, zygotes, a pool and bridges of its own. The queue of tenants, the audit log and
whoever is told of anything are the front's. It ends when the front has closed its end of the link,
and is killed when the front has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import functools
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from ._admission import Admission
from ._config import Config
from ._errors import SupervisorError
from ._job import Job
from ._link import Link
from ._policy import Policy
from ._record import CallRecord
from ._shard_messages import (
    Abandoned,
    Active,
    Begin,
    Called,
    Ended,
    Heard,
    Logged,
    Opened,
    Said,
    Setup,
    Started,
    Stop,
    ToShard,
    ended,
    failed,
    logged,
    sendable,
)
from ._spell import Spell
from ._supervisor import Supervisor

PR_SET_PDEATHSIG: Final = 1
UNBOUNDED: Final = 1 << 30
"""Runs at once: the front has let in those that come here."""
POLICIES: Final = 64
"""Policies that are kept decoded; to check one takes longer than to send it."""

_log = logging.getLogger(__name__)


def main(end: socket.socket, setup: Setup) -> None:
    """Serve the front at the other end of the socket, until it has closed it."""
    _keep_to_ourselves()
    _die_with(setup.front)
    asyncio.run(_serve(end, setup))


def _keep_to_ourselves() -> None:
    """Nothing that is started from here inherits a descriptor: `multiprocessing` left them open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the one that listed them is closed already
                fcntl.fcntl(int(name), fcntl.F_SETFD, fcntl.FD_CLOEXEC)


def _die_with(front: int) -> None:
    """Be killed when the front is, also in the middle of something that does not return."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    if os.getppid() != front:
        os._exit(1)  # it died before the kernel was asked to tell


async def _serve(end: socket.socket, setup: Setup) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    # A key on the terminal reaches the whole group: what it ends is for the front to say.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, over.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    supervisor = _Sharded(
        Config(bridges=setup.bridges),
        model=setup.model,
        pool=setup.pool,
        admission=Admission(UNBOUNDED, 0),
    )
    supervisor._parts = setup.shards
    shard = Shard(supervisor, end, over.set)
    _log_to(shard.log, setup.levels)
    try:
        async with supervisor:
            shard.send(Opened())
            await over.wait()
            await shard.finish()
    except Exception as error:  # noqa: BLE001 - told to whoever started us
        shard.send(failed(0, error))
    finally:
        shard.close()


class _Sharded(Supervisor):
    """The supervisor inside a shard."""

    def cancel(self, number: int) -> bool:
        """End a run with the verdict `cancelled`; False if it has not begun."""
        for run in tuple(self._runs):
            if run._number == number:
                run.cancel()
                return True
        return False


class Shard:
    """Serves what the front asks for."""

    def __init__(self, supervisor: _Sharded, end: socket.socket, over: Callable[[], None]) -> None:
        """Takes `end` over. `over` is called when the front has closed its own."""
        self._supervisor = supervisor
        self._link: Link[ToShard] = Link(end, msgspec.msgpack.Decoder(ToShard), self._receive, over)
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[Ended]] = {}
        self._unheard: dict[int, _Unheard] = {}

    def send(self, message: object) -> None:
        """Send a message, however much is under way."""
        self._link.send(message)

    def log(self, message: Logged) -> None:
        """Send a record of logging, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: too late for anything
            self._loop.call_soon_threadsafe(self._link.send, message)

    async def finish(self) -> None:
        """End every run with the verdict `cancelled`, and wait for it. No other one begins."""
        self._link.stop_reading()  # what is not read, another shard gets
        for number in tuple(self._tasks):
            self._cancel(number)
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def close(self) -> None:
        """Give the kernel what is left to send, and close the link."""
        self._link.flush()
        self._link.close()

    def _receive(self, message: ToShard) -> None:
        match message:
            case Begin():
                task = self._tasks[message.run] = asyncio.create_task(self._run(message))
                task.add_done_callback(lambda task: self._done(message, task))
            case Stop(number, abandon):
                if abandon and number in self._tasks:
                    self._tasks[number].cancel()
                else:
                    self._cancel(number)
            case Heard(number):
                if unheard := self._unheard.get(number):
                    unheard.heard()

    def _cancel(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None and not self._supervisor.cancel(number):
            task.cancel()  # before it had a worker

    async def _run(self, begin: Begin) -> Ended:
        report = await self._supervisor.perform(self._job(begin))
        return ended(begin.run, report, logs=not begin.logs)

    def _done(self, begin: Begin, task: asyncio.Task[Ended]) -> None:
        number = begin.run
        del self._tasks[number]
        self._unheard.pop(number, None)
        if task.cancelled():
            self._link.send(Abandoned(number))
            return
        try:
            self._link.send(task.result())
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits the run
            if not isinstance(error, SupervisorError):
                _log.error("a run failed: %s", error, exc_info=error)
            self._link.send(failed(number, error))

    def _job(self, begin: Begin) -> Job:
        number = begin.run
        observers: tuple[Callable[[CallRecord], None], ...] = ()
        heard = None
        if begin.calls:
            unheard = self._unheard[number] = _Unheard(number, self._link.send)
            observers, heard = (unheard.tell,), unheard.wait
        path = None if begin.path is None else os.fsdecode(begin.path)
        return Job(
            number=number,
            spell=Spell(begin.name, begin.source, begin.engine, path),
            params=begin.params,
            policy=_policy(begin.policy),
            env=begin.env,
            mode=begin.mode,
            dry_run=begin.dry_run,
            on_log=(lambda entry: self._link.send(Said(number, entry))) if begin.logs else None,
            on_activity=(lambda word: self._link.send(Active(number, word)))
            if begin.activity
            else None,
            observers=observers,
            heard=heard,
            on_start=lambda: self._started(number),
        )

    def _started(self, number: int) -> None:
        self._link.send(Started(number))
        self._link.flush()  # what the kernel has, the front gets, even if we are killed now


class _Unheard:
    """The calls of one run of which the front has yet to say that it has heard."""

    def __init__(self, number: int, send: Callable[[object], None]) -> None:
        self._number = number
        self._send = send
        self._left = 0
        self._all = asyncio.Event()
        self._all.set()

    def tell(self, record: CallRecord) -> None:
        """Send one."""
        self._send(Called(self._number, sendable(record)))
        self._left += 1
        self._all.clear()

    def heard(self) -> None:
        """One was heard of."""
        self._left -= 1
        if not self._left:
            self._all.set()

    async def wait(self) -> None:
        """Until all have been; for ever, if one cannot be: the front ends the run then."""
        await self._all.wait()


class _Handler(logging.Handler):
    """Sends what is logged to the front."""

    def __init__(self, send: Callable[[Logged], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        self._send(logged(record))


def _log_to(send: Callable[[Logged], None], levels: dict[str, int]) -> None:
    """One log: of what the front's loggers let through, this process writes nothing itself."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger().handlers = [_Handler(send)]


@functools.lru_cache(maxsize=POLICIES)
def _policy(packed: bytes) -> Policy:
    return msgspec.msgpack.decode(packed, type=Policy)
