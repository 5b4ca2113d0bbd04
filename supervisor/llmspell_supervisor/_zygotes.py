"""Zygotes and the workers that they fork, as the supervisor holds them.

A `Worker` exists only inside `Zygote.worker(...)`: whatever happens in there, it is killed by its
pidfd and its control group, reaped by the zygote, and its descriptors are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from llmspell_protocol import control

from . import _launch
from ._cgroups import Cgroups, WorkerGroup
from ._errors import IsolationError, SupervisorError

BOOT_TIMEOUT: Final = 30.0
"""Seconds for a zygote to say Hello: it takes 0.1 to 0.5, more on a cold disk under load."""
FORK_TIMEOUT: Final = 10.0
"""Seconds for a fork, which takes about 1 ms."""
REAP_TIMEOUT: Final = 5.0
"""Seconds for a killed worker to be reaped; past it the whole zygote is killed."""
_MAX_ERRORS: Final = 4096
"""Bytes of a zygote's standard error that are kept for a message."""


class ZygoteDied(SupervisorError):
    """The zygote has gone, and with it every worker that it had forked."""


class Worker:
    """One forked worker: two pipe ends, a pidfd, and what became of it."""

    def __init__(self, number: int, group: WorkerGroup, read_fd: int, write_fd: int) -> None:
        self.number = number
        self.group = group
        self.read_fd = read_fd
        """Non-blocking; what the worker says."""
        self.write_fd = write_fd
        """Non-blocking; what the worker hears."""
        loop = asyncio.get_running_loop()
        self.forked: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[control.Exited] = loop.create_future()
        self.peak_memory = 0
        """Bytes that its control group counted at most; 0 where the host does not count."""
        self.out_of_memory = False
        """Whether the kernel killed in its control group for want of memory."""
        self._pidfd = -1
        self._clock: int | None = None

    def attach(self, pidfd: int) -> None:
        """Take over the pidfd that the zygote sent."""
        self._pidfd = pidfd
        pid = _pid_of(pidfd)
        # The clock id of another process (clock_getcpuclockid(3)): ~pid << 3 | CPUCLOCK_SCHED.
        self._clock = (~pid << 3) | 2 if pid > 0 else None
        self.forked.set_result(None)

    @property
    def pid(self) -> int:
        """The worker's pid in our own namespace, for display only; -1 when it has gone."""
        return _pid_of(self._pidfd)

    def cpu_time(self) -> float:
        """Seconds of processor time used so far, all threads; 0.0 once the worker has gone."""
        if self._clock is None:
            return 0.0
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0

    def kill(self) -> None:
        """Kill it now. A pidfd names this worker for ever: a recycled pid cannot be hit."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self.group.kill()

    @property
    def exit(self) -> control.Exited | None:
        """How it ended; none while it lives, or when its zygote died before it could tell."""
        done = self.exited.done() and not self.exited.cancelled()
        return self.exited.result() if done and not self.exited.exception() else None

    def fail(self, error: Exception) -> None:
        """The zygote has gone: nobody will hear of this worker again."""
        for future in (self.forked, self.exited):
            if not future.done():
                future.set_exception(error)
                future.exception()  # marked as seen: not every path awaits both

    def close(self) -> None:
        """Close every descriptor."""
        for fd in (self.read_fd, self.write_fd, self._pidfd):
            if fd >= 0:
                os.close(fd)
        self.read_fd = self.write_fd = self._pidfd = -1


def _pid_of(pidfd: int) -> int:
    if pidfd < 0:
        return -1
    with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{pidfd}") as file:
        for line in file:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    return -1


class Zygote:
    """The supervisor's end of one zygote."""

    def __init__(self, engine: str, cgroups: Cgroups, *, strict: bool) -> None:
        self.engine = engine
        self._cgroups = cgroups
        self._strict = strict
        self._numbers = itertools.count(1)
        self._workers: dict[int, Worker] = {}
        self._pid = -1
        self._control: socket.socket | None = None
        self._errors = -1
        self._hello: asyncio.Future[control.Hello] | None = None
        self._decode = msgspec.msgpack.Decoder(control.ZygoteMessage).decode

    async def start(self) -> control.Hello:
        """Start it, once, and wait until it is jailed.

        Raises `IsolationError` when a layer of containment is missing, `SupervisorError` otherwise.
        """
        if self._hello is None:
            loop = asyncio.get_running_loop()
            self._hello = loop.create_future()
            self._pid, self._control, self._errors = _launch.launch(
                self.engine, strict=self._strict
            )
            self._control.setblocking(False)
            os.set_blocking(self._errors, False)
            loop.add_reader(self._control.fileno(), self._receive)
        try:
            async with asyncio.timeout(BOOT_TIMEOUT):
                return await asyncio.shield(self._hello)
        except TimeoutError:
            raise SupervisorError(
                f"the {self.engine} zygote did not start within {BOOT_TIMEOUT:g} s",
                "run 'llmspell-supervisor doctor'",
            ) from None

    @property
    def hello(self) -> control.Hello | None:
        """What it said of itself, once it is jailed."""
        done = self._hello is not None and self._hello.done() and not self._hello.exception()
        return self._hello.result() if self._hello is not None and done else None

    @property
    def dead(self) -> bool:
        """Whether it was started and can fork no more."""
        return self._hello is not None and self._control is None

    @contextlib.asynccontextmanager
    async def worker(self, options: control.WorkerOptions) -> AsyncIterator[Worker]:
        """A fresh worker, dead and reaped at the end of the block."""
        await self.start()
        number = next(self._numbers)
        group = self._cgroups.create(number, options.memory)
        worker_in, our_out = os.pipe()
        our_in, worker_out = os.pipe()
        os.set_blocking(our_in, False)
        os.set_blocking(our_out, False)
        worker = Worker(number, group, our_in, our_out)
        self._workers[number] = worker
        theirs = [worker_in, worker_out, *group.open_procs()]
        try:
            self._send_fork(number, options, theirs)
            async with asyncio.timeout(FORK_TIMEOUT):
                await worker.forked
            yield worker
        finally:
            await self._finish(worker)

    def _send_fork(self, number: int, options: control.WorkerOptions, fds: list[int]) -> None:
        try:
            if self._control is None:
                raise ZygoteDied(f"the {self.engine} zygote has died")
            packet = msgspec.msgpack.encode(control.Fork(number, options))
            socket.send_fds(self._control, [packet], fds)
        except OSError as error:
            raise ZygoteDied(f"the {self.engine} zygote does not answer: {error}") from None
        finally:
            for fd in fds:
                os.close(fd)

    async def _finish(self, worker: Worker) -> None:
        """Kill, reap, close. Runs to its end even when the caller is cancelled."""
        worker.kill()
        try:
            await asyncio.shield(asyncio.ensure_future(self._reap(worker)))
        finally:
            worker.kill()  # where the pidfd arrived only after the first one
            worker.close()
            worker.peak_memory = worker.group.peak_memory() or 0
            worker.out_of_memory = worker.group.out_of_memory()
            worker.group.remove()
            self._workers.pop(worker.number, None)

    async def _reap(self, worker: Worker) -> None:
        try:
            async with asyncio.timeout(REAP_TIMEOUT):
                if not worker.forked.done():
                    with contextlib.suppress(SupervisorError):
                        await asyncio.shield(worker.forked)
                    worker.kill()
                await asyncio.shield(worker.exited)
        except SupervisorError:
            pass  # the fork failed or the zygote died: there is no worker
        except TimeoutError:
            self._die("a killed worker was not reaped")

    def _receive(self) -> None:
        assert self._control is not None
        try:
            data, fds, _, _ = socket.recv_fds(self._control, control.MAX_PACKET, 1)
        except BlockingIOError:
            return
        except OSError as error:
            self._die(str(error))
            return
        if not data:
            self._die("")
            return
        self._handle(self._decode(data), fds)

    def _handle(self, message: control.ZygoteMessage, fds: list[int]) -> None:
        assert self._hello is not None
        match message:
            case control.Hello():
                self._hello.set_result(message)
            case control.Unavailable(layer, reason, remedy):
                error = (
                    IsolationError(layer, reason, remedy)
                    if layer
                    else SupervisorError(reason, remedy)
                )
                self._refuse(error)
            case control.Forked(number):
                self._workers[number].attach(fds[0])
            case control.ForkFailed(number, reason):
                self._workers[number].fail(SupervisorError(f"a worker was not forked: {reason}"))
            case control.Exited(number):
                if (worker := self._workers.get(number)) and not worker.exited.done():
                    worker.exited.set_result(message)

    def _refuse(self, error: SupervisorError) -> None:
        assert self._hello is not None
        if not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()
        self._die(error.message)

    def _die(self, reason: str) -> None:
        """It has gone, or must go: kill it, and let everybody know who waits for it."""
        if self._control is None:
            return
        detail = self._last_words() or reason
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()  # the zygote reads its end and exits
        self._control = None
        self._kill_process()
        error = ZygoteDied(f"the {self.engine} zygote has died{': ' if detail else ''}{detail}")
        if self._hello is not None and not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()
        for worker in self._workers.values():
            worker.fail(error)

    def _last_words(self) -> str:
        """The last line of its standard error: the exception, if it raised one."""
        with contextlib.suppress(OSError):
            text = os.read(self._errors, 1 << 20)[-_MAX_ERRORS:].decode(errors="replace")
            return text.strip().rpartition("\n")[2]
        return ""

    def _kill_process(self) -> None:
        os.close(self._errors)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)  # our own unreaped child: the pid is still its
        os.waitpid(self._pid, 0)

    def close(self) -> None:
        """Kill the zygote, and with it, as pid 1 of its namespace, every worker."""
        self._die("closed")
