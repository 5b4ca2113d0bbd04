"""Zygotes, as the supervisor holds them: start, fork workers on request, end.

A `Worker` exists only inside `Zygote.worker(...)`: whatever happens in there, it is killed by its
pidfd and its control group, reaped by the zygote, and its descriptors are closed.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import itertools
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from llmspell_bridges import settled
from llmspell_protocol import control

from . import _launch, _strays
from ._ahead import Ahead, Asked, ask
from ._cgroups import Cgroups
from ._errors import IsolationError, SupervisorError
from ._pool import NO_POOL, Pool, PoolSize
from ._worker import Worker, until_ended

BOOT_TIMEOUT: Final = 30.0
"""Seconds for a zygote to say Hello: it takes 0.1 to 0.5, more on a cold disk under load."""
FORK_TIMEOUT: Final = 10.0
"""Seconds for a fork, which takes about 1 ms."""
FORKS_AT_ONCE: Final = 16
"""Forks that are asked for and not yet answered. They queue in the zygote anyway; so few never
fill the control socket, nor the count of descriptors that may be under way (unix(7))."""
REAP_TIMEOUT: Final = 5.0
"""Seconds for a killed worker to be reaped; past it the whole zygote is killed."""
STRAY_ROUNDS: Final = 16
"""Looks at what a worker left behind. Each finds only what the one before made orphans; what goes on
longer multiplies, and the whole namespace is ended at once."""
CLOSE_TIMEOUT: Final = 1.0
"""Seconds for a zygote to exit by itself, which takes 2 to 10 ms; past it it is killed."""

FORKS: Final = 20_000
"""Workers of one zygote. They share its address layout, which nobody should have for ever to study;
and what one more zygote costs, a tenth of a second beside everything else, is then nothing."""
AGE: Final = 3600.0
"""Seconds after which a zygote is replaced, for the same reason."""

_RECEIVE_FLAGS: Final = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class ZygoteDied(SupervisorError):
    """The zygote has gone, and with it every worker that it had forked."""


class Zygote:
    """The supervisor's end of one zygote. Used once: what died is replaced by another one."""

    def __init__(
        self,
        engine: str,
        cgroups: Cgroups,
        *,
        strict: bool,
        pool: PoolSize = NO_POOL,
        ahead: Ahead | None = None,
    ) -> None:
        """`ahead` has been launched already, with one worker asked for: both are taken over."""
        self.engine = engine
        self._cgroups = cgroups
        self._ahead = ahead
        self._waiting: Worker | None = None  # asked for ahead of its run
        self._strict = strict
        self._numbers = itertools.count(1)
        self._workers: dict[int, Worker] = {}
        self._pool = Pool(pool, self._request, self._finish)
        self._forks = 0
        self._since = time.monotonic()
        self._runs = 0  # that have a worker of ours, or wait for one
        self._turns = asyncio.Semaphore(FORKS_AT_ONCE)
        self._launched: _launch.Launched | None = None
        self._pidfd = -1
        self._first: int | None = None
        """The zygote itself, pid 1 of its namespace, as the host numbers it."""
        self._dead_strays: set[int] = set()
        self._hello: asyncio.Future[control.Hello] = asyncio.get_running_loop().create_future()
        self._silent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reaped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._boot: asyncio.TimerHandle | None = None
        self._decode = msgspec.msgpack.Decoder(control.ZygoteMessage).decode

    # --- its life -------------------------------------------------------------------------------

    async def start(self) -> control.Hello:
        """Start it, once, and wait until it is jailed. May be cancelled; the zygote starts on.

        Raises `IsolationError` when a layer of containment is missing, `SupervisorError` otherwise.
        """
        if self._launched is None:
            self._begin()
        return await asyncio.shield(self._hello)

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            launched = self._spawn()
            try:
                self._watch(launched)
            except OSError:
                launched.stop()
                raise
        except OSError as error:
            raise SupervisorError(
                f"the {self.engine} zygote was not started: {error.strerror}", _hint(error)
            ) from None
        self._launched = launched
        self._boot = loop.call_later(BOOT_TIMEOUT, self._never_booted)
        if self._ahead is not None:
            self._waiting = self._expect(self._ahead.asked)

    def _watch(self, launched: _launch.Launched) -> None:
        """Hear what it says, and of its end. Raises `OSError`, and leaves nothing open then."""
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(launched.pid)
        try:
            loop.add_reader(launched.control.fileno(), self._receive)
            loop.add_reader(pidfd, self._reap_process)
        except OSError:
            loop.remove_reader(launched.control.fileno())
            os.close(pidfd)
            raise
        self._pidfd = pidfd

    def _spawn(self) -> _launch.Launched:
        if self._ahead is not None:
            self._ahead.taken = True
            return self._ahead.launched
        return _launch.launch(self.engine, strict=self._strict)

    def _never_booted(self) -> None:
        self._die(f"it was not ready within {BOOT_TIMEOUT:g} s")

    @property
    def hello(self) -> control.Hello | None:
        """What it said of itself, once it is jailed."""
        done = self._hello.done() and not self._hello.exception()
        return self._hello.result() if done else None

    @property
    def dead(self) -> bool:
        """Whether it was started and can fork no more."""
        return self._silent.done()

    @property
    def worn(self) -> bool:
        """Whether another one should take its place."""
        return self._forks >= FORKS or time.monotonic() - self._since >= AGE

    @property
    def busy(self) -> bool:
        """Whether a run has a worker of it, or is about to."""
        return self._runs > 0

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left to wait for."""
        return self._launched is None or (self._silent.done() and self._reaped.done())

    async def close(self) -> None:
        """End it, and with it, as pid 1 of its namespace, every worker; wait until it has gone."""
        if self._launched is None:
            return
        await self._pool.close()
        if self._silent.done():
            pass  # it is dying already
        elif self._hello.done():
            # It reads the end of the stream and exits. The process that we started waits for it,
            # so when that one has been reaped, nothing is left.
            try:
                self._launched.control.shutdown(socket.SHUT_WR)
            except OSError:  # it has gone, perhaps, and we have not heard of it yet
                self._kill()
        else:
            self._kill()  # it boots, and would not look at its socket for a while
        if not await self._is_gone_within(CLOSE_TIMEOUT):
            self._die("it did not end")
            await self._is_gone_within(CLOSE_TIMEOUT)
        if self._waiting is not None:
            await self._finish(self._waiting)

    async def _is_gone_within(self, seconds: float) -> bool:
        await asyncio.wait({self._silent, self._reaped}, timeout=seconds)
        return self.gone

    def _kill(self) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(OSError):  # it ends by itself, too, when its socket is closed
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _die(self, reason: str) -> None:
        """It must go: kill it, and let everybody know who waits for it."""
        self._kill()
        self._fall_silent(reason)

    def _fall_silent(self, reason: str, error: SupervisorError | None = None) -> None:
        """It will say no more: let everybody know who waits for it."""
        if self._silent.done() or self._launched is None:
            return
        self._silent.set_result(None)
        if self._boot:
            self._boot.cancel()
        asyncio.get_running_loop().remove_reader(self._launched.control.fileno())
        self._launched.control.close()
        detail = reason or self._launched.last_words()
        os.close(self._launched.errors)
        error = error or ZygoteDied(
            f"the {self.engine} zygote has died{': ' if detail else ''}{detail}",
            "run 'llmspell-supervisor doctor'",
        )
        if not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()  # marked as seen: perhaps nobody waits any more
        for worker in self._workers.values():
            worker.fail(error)

    def _reap_process(self) -> None:
        """The process that we started has ended: reap it."""
        assert self._launched is not None
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        with contextlib.suppress(OSError):  # an embedder may reap everything
            os.waitpid(self._launched.pid, os.WNOHANG)
        self._reaped.set_result(None)

    # --- workers --------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def worker(self, options: control.WorkerOptions) -> AsyncIterator[Worker]:
        """A fresh worker, dead and reaped at the end of the block. Raises `SupervisorError`."""
        self._runs += 1
        try:
            await self.start()
            worker = self._take(options) or self._pool.take(options)
            if worker is None:
                await self._turns.acquire()
                try:
                    worker = self._request(options)
                except BaseException:
                    self._turns.release()
                    raise
                worker.forked.add_done_callback(lambda _: self._turns.release())
            try:
                await self._until_forked(worker)
                yield worker
            finally:
                await self._finish(worker)
        finally:
            self._runs -= 1

    def _take(self, options: control.WorkerOptions) -> Worker | None:
        """The worker that was asked for ahead, once, if it is as this run wants it."""
        if self._ahead is None or self._ahead.asked.options != options:
            return None
        worker, self._waiting = self._waiting, None
        return worker

    def _request(self, options: control.WorkerOptions) -> Worker:
        """Ask for a worker; `forked` tells when there is one. Leaves nothing open if it raises."""
        if self._launched is None or self._silent.done():
            raise ZygoteDied(f"the {self.engine} zygote has died")
        try:
            asked = ask(self._launched.control, self._cgroups, next(self._numbers), options)
        except (BrokenPipeError, ConnectionResetError):
            self._die("it has closed its socket")  # which the loop is about to hear
            raise ZygoteDied(f"the {self.engine} zygote has died") from None
        except OSError as error:
            raise SupervisorError(
                f"a worker was not forked: {error.strerror}", _hint(error)
            ) from None
        self._forks += 1
        return self._expect(asked)

    def _expect(self, asked: Asked) -> Worker:
        worker = Worker(asked.number, asked.group, asked.read_fd, asked.write_fd)
        self._workers[asked.number] = worker
        return worker

    async def _until_forked(self, worker: Worker) -> None:
        if worker.forked.done():  # out of the pool: without the timers and turns of the loop below
            worker.forked.result()
            return
        try:
            async with asyncio.timeout(FORK_TIMEOUT):
                await asyncio.shield(worker.forked)
        except TimeoutError:
            self._die(f"it did not fork within {FORK_TIMEOUT:g} s")
            worker.forked.result()  # raises what everybody gets

    async def _finish(self, worker: Worker) -> None:
        """Kill, reap, close. Runs to its end even when the caller is cancelled, twice or more."""
        worker.kill()
        try:
            await settled(asyncio.ensure_future(self._reap(worker)))
        finally:
            self._workers.pop(worker.number, None)
            worker.close()
            worker.peak_memory = worker.group.peak_memory() or 0
            worker.out_of_memory = worker.group.out_of_memory()
            self._cgroups.remove(worker.group)

    async def _reap(self, worker: Worker) -> None:
        try:
            async with asyncio.timeout(REAP_TIMEOUT):
                if not worker.forked.done():
                    await asyncio.wait({worker.forked})
                if not worker.kill():  # whose pidfd may have arrived since the first attempt
                    self._die("a worker could not be killed")
                await (
                    self._kill_strays()
                )  # those that have left it already; the others once it is dead
                if not worker.exited.done():
                    await asyncio.wait({worker.exited})
                await worker.gone()  # which the zygote, if it died, could not tell
                await self._kill_strays()
        except TimeoutError:
            self._die("a killed worker was not reaped")
        except OSError as error:
            self._die(f"the end of a worker could not be seen: {error.strerror}")

    async def _kill_strays(self) -> None:
        """See `_strays`. Without any, which is always, it takes one look at /proc."""
        for _ in range(STRAY_ROUNDS):
            if self._first is None or self.dead or not (strays := await self._find_strays()):
                return
            pidfds = _strays.kill(self._first, strays)
            await asyncio.gather(*map(until_ended, pidfds))
            self._dead_strays |= strays  # they stay children until the zygote reaps them
            for pidfd in pidfds:
                os.close(pidfd)
        self._die("a worker's processes multiply")

    async def _find_strays(self) -> set[int]:
        assert self._first is not None
        found = set(_strays.children(self._first))
        self._dead_strays &= found
        found -= self._dead_strays | self._known()
        pending = [w.forked for w in self._workers.values() if not w.forked.done()]
        if found and pending:  # workers of whom we have not heard yet, perhaps
            await asyncio.wait(pending)
        return found - self._known()

    def _known(self) -> set[int]:
        return {worker.number_on_host for worker in self._workers.values()}

    # --- what it says ---------------------------------------------------------------------------

    def _receive(self) -> None:
        assert self._launched is not None
        try:
            data, pidfd = _receive_packet(self._launched.control)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data, pidfd = (
                b"",
                -1,
            )  # it has died with packets of ours unread: its last words tell why
        except OSError as error:
            self._die(str(error))
            return
        with contextlib.ExitStack() as unclaimed:
            if pidfd >= 0:
                unclaimed.callback(os.close, pidfd)
            if not data:
                self._fall_silent("")
                self._kill()
                return
            try:
                if self._handle(self._decode(data), pidfd):
                    unclaimed.pop_all()
            except (msgspec.DecodeError, asyncio.InvalidStateError):
                self._die("it broke the control protocol")
            except OSError as error:
                self._die(f"its processes could not be seen: {error.strerror}")

    def _handle(self, message: control.ZygoteMessage, pidfd: int) -> bool:
        """Act on a message. True when somebody has taken the pidfd over."""
        match message:
            case control.Hello():
                self._hello.set_result(message)
                self._first = _strays.first_process(self._launched.pid) if self._launched else None
                if self._boot:
                    self._boot.cancel()
            case control.Unavailable(layer, reason, remedy):
                refused = SupervisorError(reason, remedy)
                self._fall_silent("", IsolationError(layer, reason, remedy) if layer else refused)
            case control.Forked(number):
                return self._attach(number, pidfd)
            case control.ForkFailed(number, reason):
                if number in self._workers:
                    error = SupervisorError(f"a worker was not forked: {reason}")
                    self._workers[number].fail(error)
            case control.Exited(number):
                if number in self._workers:
                    self._workers[number].exited.set_result(message)
        return False

    def _attach(self, number: int, pidfd: int) -> bool:
        if worker := self._workers.get(number):
            try:
                worker.attach(pidfd)
            except OSError as error:  # a worker that nobody could watch or kill is none
                reason = f"a worker was not forked: {error.strerror}"
                self._workers.pop(number).fail(SupervisorError(reason, _hint(error)))
            else:
                return True
        if pidfd >= 0:  # whoever asked has given up waiting
            with contextlib.suppress(OSError):  # which waits for a script, and its pipe ends
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return False


def _receive_packet(sock: socket.socket) -> tuple[bytes, int]:
    """One packet and the descriptor beside it, or -1. Raises `OSError`."""
    # Not socket.recv_fds, which does not hand its flags on: what is started later must not
    # inherit a pidfd.
    fds = array.array("i")
    data, ancillary, _, _ = sock.recvmsg(
        control.MAX_PACKET, socket.CMSG_LEN(fds.itemsize), _RECEIVE_FLAGS
    )
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: fds.itemsize])
    return data, fds[0] if fds else -1


def _hint(error: OSError) -> str:
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return "run fewer spells at once, or raise 'ulimit -n'"
    return ""
