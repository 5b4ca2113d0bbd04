"""One forked worker, as the supervisor holds it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Final

from ._small_file import read_small

if TYPE_CHECKING:
    from llmspell_protocol import control

    from ._cgroups import WorkerGroup

_CPUCLOCK_SCHED: Final = 2


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
        self.number_on_host = -1
        """The pid that it has or had in our own namespace; never to be signalled by."""
        self._pidfd = -1
        self._clock: int | None = None

    def attach(self, pidfd: int) -> None:
        """Take over the pidfd that the zygote sent. Raises `InvalidStateError` the second time.

        Raises `OSError`, and has taken nothing over then, when the worker could not be watched.
        """
        if pidfd < 0:  # the kernel drops it when we have no descriptor left (unix(7))
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        pid = _read_pid(pidfd)
        self.forked.set_result(None)
        self._pidfd = pidfd
        self.number_on_host = pid
        if pid > 0:
            # The processor clock of another process, as clock_getcpuclockid(3) makes its id.
            self._clock = (~pid << 3) | _CPUCLOCK_SCHED

    @property
    def pid(self) -> int:
        """The worker's pid in our own namespace, for display only; -1 when it has gone."""
        return _pid_of(self._pidfd)

    def cpu_time(self) -> float:
        """Seconds of processor time used so far, all threads; 0.0 once the worker has gone.

        Raises `OSError` when the clock of a worker that lives cannot be read.
        """
        if self._clock is None:
            return 0.0
        try:
            used = time.clock_gettime(self._clock)
        except OSError:
            if not _is_readable(self._pidfd):
                raise
            return 0.0
        # Clocks go by pid. If it still lives after the reading, the pid was not another's.
        return 0.0 if _is_readable(self._pidfd) else used

    def kill(self) -> bool:
        """Kill it now. False when the kernel refuses: then only its zygote's end is its own.

        A pidfd names this worker for ever: a recycled pid cannot be hit.
        """
        self.group.kill()
        try:
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return True

    @property
    def exit(self) -> control.Exited | None:
        """How it ended; none while it lives, or when its zygote died before it could tell."""
        done = self.exited.done() and not self.exited.cancelled()
        return self.exited.result() if done and not self.exited.exception() else None

    @property
    def lost(self) -> str:
        """Why nobody tells how it ended: how its zygote died. Empty while somebody may."""
        told = self.exited.done() and not self.exited.cancelled() and self.exited.exception()
        return getattr(told, "message", str(told)) if told else ""

    async def gone(self) -> None:
        """Wait until it has ended, by the word of the kernel alone."""
        if self._pidfd >= 0:
            await until_ended(self._pidfd)

    def fail(self, error: Exception) -> None:
        """There is no worker, or nobody will hear of it again."""
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
    with contextlib.suppress(OSError):
        return _read_pid(pidfd)
    return -1


def _read_pid(pidfd: int) -> int:
    """As the kernel shows it, -1 when the process has been reaped. Raises `OSError`."""
    _, _, pid = read_small(f"/proc/self/fdinfo/{pidfd}").partition(b"\nPid:")
    return int(pid.partition(b"\n")[0]) if pid else -1


def _is_readable(pidfd: int) -> bool:
    """A pidfd becomes readable when its process ends (pidfd_open(2))."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


async def until_ended(pidfd: int) -> None:
    """Wait for the end of a process; one that is dead and not yet reaped has ended."""
    if _is_readable(pidfd):
        return
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        loop.remove_reader(pidfd)
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(pidfd, end)
    try:
        await ended
    finally:
        loop.remove_reader(pidfd)
