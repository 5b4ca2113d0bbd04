"""Zygotes: real ones, and one that the test plays over a real socket and a real process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from llmspell_protocol import control
from llmspell_supervisor import IsolationError, SupervisorError
from llmspell_supervisor import _launch as launch
from llmspell_supervisor._cgroups import Cgroups, WorkerGroup
from llmspell_supervisor._worker import Worker
from llmspell_supervisor._zygotes import FORKS_AT_ONCE, Zygote, ZygoteDied
from tests.supervisor.scripted import until
from tests.support.processes import children, ended, is_alive

OPTIONS = control.WorkerOptions(memory=128 << 20, heap=64 << 20, cpu_seconds=5)
HELLO = control.Hello("played", "1", (".played",), {}, ())


class Played:
    """A zygote of the test's: its control socket, and a process that only waits."""

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)
        errors, self.stderr = os.pipe()
        os.set_blocking(errors, False)
        self.pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
        self.spawned = self.pid, ours.detach(), errors

    def say(self, message: object, *fds: int) -> None:
        """A message, or any bytes."""
        data = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
        socket.send_fds(self.socket, [data], fds)

    async def asked(self) -> control.Fork:
        """The next request; its descriptors are closed, as those of a fork that failed."""
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self.socket.fileno(), readable.set_result, None)
        await readable
        loop.remove_reader(self.socket.fileno())
        data, fds, _, _ = socket.recv_fds(self.socket, control.MAX_PACKET, 8)
        for fd in fds:
            os.close(fd)
        return msgspec.msgpack.decode(data, type=control.Fork)


def with_played(scenario: Callable[[Zygote, Played], Awaitable[None]]) -> None:
    """Run a scenario on a zygote that the test plays; afterwards nothing is left of it."""

    async def whole() -> None:
        played = Played()
        # `launch` takes over what was prestarted, whoever did.
        launch._prestarted["played", True] = played.spawned
        cgroups = Cgroups()
        zygote = Zygote("played", cgroups, strict=True)
        before = open_descriptors()
        try:
            await scenario(zygote, played)
        finally:
            with contextlib.suppress(ProcessLookupError):  # else it is given a second to end
                os.kill(played.pid, signal.SIGKILL)
            played.socket.close()
            os.close(played.stderr)
            await zygote.close()
            cgroups.close()
        # The two ends of the test, and what the zygote took over.
        assert len(open_descriptors()) == len(before) - 4

    asyncio.run(whole())


def with_real(scenario: Callable[[Zygote], Awaitable[None]], engine: str = "lua") -> None:
    async def whole() -> None:
        cgroups = Cgroups()
        zygote = Zygote(engine, cgroups, strict=True)
        try:
            await scenario(zygote)
        finally:
            await zygote.close()
            cgroups.close()

    asyncio.run(whole())


def open_descriptors() -> set[str]:
    gc.collect()
    return set(os.listdir("/proc/self/fd"))


async def quiet(turns: int = 50) -> None:
    """Let everything happen that can happen by itself."""
    for _ in range(turns):
        await asyncio.sleep(0)


# --- starting -------------------------------------------------------------------------------------


def test_a_missing_layer_is_named_with_its_remedy() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(control.Unavailable("landlock", "the kernel is too old", "use 5.13"))
        with pytest.raises(IsolationError) as caught:
            await zygote.start()
        assert (caught.value.layer, caught.value.remedy) == ("landlock", "use 5.13")
        assert "landlock" in caught.value.message
        assert zygote.dead

    with_played(scenario)


def test_an_engine_that_is_missing_is_no_missing_layer() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(control.Unavailable("", "engine lua: lupa is not installed", "install it"))
        with pytest.raises(SupervisorError, match="lupa is not installed") as caught:
            await zygote.start()
        assert not isinstance(caught.value, IsolationError)

    with_played(scenario)


def test_a_zygote_that_dies_at_its_start_is_quoted() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        os.write(played.stderr, b"Traceback ...\nImportError: no module named engine\n")
        played.socket.close()
        with pytest.raises(ZygoteDied, match="ImportError: no module named engine"):
            await zygote.start()

    with_played(scenario)


def test_all_who_wait_for_a_zygote_get_it_and_one_of_them_may_go() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        waiting = [asyncio.create_task(zygote.start()) for _ in range(3)]
        await quiet()
        waiting[0].cancel()
        await quiet()
        played.say(HELLO)
        assert await waiting[1] == await waiting[2] == HELLO
        assert waiting[0].cancelled()

    with_played(scenario)


NONSENSE = {
    "no msgpack": b"\xc1",
    "another message": control.Fork(1, OPTIONS),
    "hello again": HELLO,
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_zygote_that_talks_nonsense_is_killed(what: str) -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(HELLO)
        await zygote.start()
        running = asyncio.create_task(one_worker(zygote))
        await played.asked()
        played.say(NONSENSE[what])
        with pytest.raises(ZygoteDied, match="broke the control protocol"):
            await running
        assert zygote.dead

    with_played(scenario)


async def one_worker(zygote: Zygote) -> None:
    async with zygote.worker(OPTIONS):
        pass


# --- forking --------------------------------------------------------------------------------------


def test_a_fork_that_failed_is_told_and_the_zygote_goes_on() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(HELLO)
        for _ in range(2):
            running = asyncio.create_task(one_worker(zygote))
            request = await played.asked()
            played.say(control.ForkFailed(request.id, "Resource temporarily unavailable"))
            with pytest.raises(SupervisorError, match="temporarily unavailable"):
                await running
        assert not zygote.dead

    with_played(scenario)


def test_a_worker_that_arrives_after_its_run_was_cancelled_is_killed_and_reaped() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(HELLO)
        running = asyncio.create_task(one_worker(zygote))
        request = await played.asked()
        running.cancel()
        await quiet()
        running.cancel()  # and again, by somebody impatient
        await quiet()
        assert not running.done()
        worker, pidfd = a_process()
        played.say(control.Forked(request.id), pidfd)
        os.close(pidfd)
        status = await asyncio.to_thread(os.waitpid, worker, 0)
        played.say(control.Exited(request.id, status[1], 0.0, 0))
        with pytest.raises(asyncio.CancelledError):
            await running
        assert os.WTERMSIG(status[1]) == signal.SIGKILL

    with_played(scenario)


def test_a_worker_that_nobody_asked_for_is_killed_and_its_descriptor_closed() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(HELLO)
        await zygote.start()
        before = open_descriptors()
        worker, pidfd = a_process()
        played.say(control.Forked(999), pidfd)
        os.close(pidfd)
        status = await asyncio.to_thread(os.waitpid, worker, 0)
        assert os.WTERMSIG(status[1]) == signal.SIGKILL
        assert open_descriptors() == before

    with_played(scenario)


def test_a_worker_without_a_descriptor_to_kill_it_by_is_none() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(HELLO)
        running = asyncio.create_task(one_worker(zygote))
        request = await played.asked()
        played.say(control.Forked(request.id))  # as the kernel passes on what there is no room for
        with pytest.raises(SupervisorError, match="Too many open files") as caught:
            await running
        assert "ulimit -n" in caught.value.hint
        played.say(control.Exited(request.id, 0, 0.0, 0))
        await quiet()
        assert not zygote.dead

    with_played(scenario)


def a_process() -> tuple[int, int]:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    return pid, os.pidfd_open(pid)


def test_forks_that_are_not_answered_are_bounded() -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(HELLO)
        running = [asyncio.create_task(one_worker(zygote)) for _ in range(FORKS_AT_ONCE + 5)]
        requests = [await played.asked() for _ in range(FORKS_AT_ONCE)]
        await quiet()
        with pytest.raises(BlockingIOError):
            played.socket.recv(1)
        for request in requests:
            played.say(control.ForkFailed(request.id, "no"))
        for _ in range(5):
            played.say(control.ForkFailed((await played.asked()).id, "no"))
        results = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(r, SupervisorError) for r in results)

    with_played(scenario)


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """As if this process had `count` descriptors left."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + count, limits[1]))
    try:
        while True:  # the gaps below the highest
            fd = os.dup(0)
            held.append(fd)
    except OSError:
        for fd in held[len(held) - count :] if count else []:
            os.close(fd)
        held = held[: len(held) - count]
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in held:
            os.close(fd)


@pytest.mark.parametrize("left", range(8))
def test_without_descriptors_a_worker_is_refused_and_nothing_leaks(left: int) -> None:
    async def scenario(zygote: Zygote, played: Played) -> None:
        played.say(HELLO)
        await zygote.start()
        before = open_descriptors()
        running = None
        # Two pipes; and no worker is forked that could not join its control groups.
        needed = 4 + len(zygote._cgroups._own)
        with descriptors_left(left):
            if left < needed:
                with pytest.raises(SupervisorError, match="Too many open files") as caught:
                    await one_worker(zygote)
                assert "ulimit -n" in caught.value.hint
            else:
                running = asyncio.create_task(one_worker(zygote))
                played.say(control.ForkFailed((await fork_of(played)).id, "enough"))
        if running:
            with pytest.raises(SupervisorError, match="enough"):
                await running
        assert open_descriptors() == before

    with_played(scenario)


async def fork_of(played: Played) -> control.Fork:
    """A request, read without its descriptors."""
    while True:
        try:
            return msgspec.msgpack.decode(played.socket.recv(control.MAX_PACKET), type=control.Fork)
        except BlockingIOError:
            await asyncio.sleep(0)


@pytest.mark.parametrize("left", range(4))
def test_without_descriptors_a_zygote_is_refused_and_nothing_leaks(left: int) -> None:
    async def whole() -> None:
        zygote = Zygote("lua", Cgroups(), strict=True)
        before = open_descriptors()
        with (
            descriptors_left(left),
            pytest.raises(SupervisorError, match="not started: Too many open files"),
        ):
            await zygote.start()
        assert open_descriptors() == before
        assert not zygote.dead  # it may be tried again
        await zygote.close()

    asyncio.run(whole())


# --- real ones ------------------------------------------------------------------------------------


@pytest.mark.root
def test_a_zygote_holds_nothing_but_its_socket_and_its_standard_streams() -> None:
    inherited = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inherited, True)

    async def scenario(zygote: Zygote) -> None:
        await zygote.start()
        async with zygote.worker(OPTIONS) as worker:
            await worker.forked
            [outer] = [p for p in children(os.getpid()) if b"zygote" in command_line(p)]
            [inner] = children(outer)
            for process in (outer, inner):
                fds = descriptors_of(process)
                others = {t for n, t in fds.items() if int(n) > control.CONTROL_FD}
                assert others <= {"anon_inode:[pidfd]"}, fds
                assert flags_of(process, 2) & os.O_NONBLOCK, "a flood of errors would block it"

    try:
        with_real(scenario)
    finally:
        os.close(inherited)


def descriptors_of(pid: int) -> dict[str, str]:
    return {path.name: os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}


def flags_of(pid: int, fd: int) -> int:
    text = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
    return int(text.split("flags:")[1].split()[0], 8)


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_zygote_that_lost_a_descriptor_on_the_way_forks_no_worker() -> None:
    async def scenario(zygote: Zygote) -> None:
        await zygote.start()
        assert zygote._launched is not None
        zygote._workers[77] = worker = Worker(77, WorkerGroup([]), -1, -1)
        request = msgspec.msgpack.encode(control.Fork(77, OPTIONS))
        # More than it has room for: it gets two pipe ends, and perhaps not its control group.
        ends = [end for _ in range(6) for end in os.pipe()]
        socket.send_fds(zygote._launched.control, [request], ends)
        for fd in ends:
            os.close(fd)
        with pytest.raises(SupervisorError, match="not forked: Too many open files"):
            await worker.forked

    with_real(scenario)


def test_descriptors_of_workers_are_not_inherited_by_what_is_started_later() -> None:
    async def scenario(zygote: Zygote) -> None:
        await zygote.start()
        async with zygote.worker(OPTIONS) as worker:
            for fd in (worker.read_fd, worker.write_fd, worker._pidfd):
                assert not os.get_inheritable(fd)

    with_real(scenario)


@pytest.mark.parametrize("victim", ["outer", "inner"])
def test_a_zygote_that_is_killed_takes_its_workers_along_and_says_so(victim: str) -> None:
    async def scenario(zygote: Zygote) -> None:
        await zygote.start()
        [outer] = [p for p in children(os.getpid()) if b"zygote" in command_line(p)]
        [inner] = children(outer)
        async with zygote.worker(OPTIONS) as worker:
            pid = worker.pid
            assert is_alive(pid)
            os.kill(outer if victim == "outer" else inner, signal.SIGKILL)
            await asyncio.wait({worker.exited})
            assert isinstance(worker.exited.exception(), ZygoteDied)
        assert ended(pid)
        assert zygote.dead
        with pytest.raises(ZygoteDied):
            await one_worker(zygote)
        await zygote.close()
        assert ended(outer)
        assert ended(inner)

    with_real(scenario)


def test_closing_a_zygote_waits_until_all_of_it_has_gone() -> None:
    pids: list[int] = []

    async def scenario(zygote: Zygote) -> None:
        await zygote.start()
        [outer] = [p for p in children(os.getpid()) if b"zygote" in command_line(p)]
        pids.extend([outer, *children(outer)])
        await zygote.close()
        assert len(pids) == 2
        assert not any(is_alive(pid) for pid in pids)
        await zygote.close()  # again, and nothing happens

    with_real(scenario)


def test_closing_a_zygote_that_boots_does_not_wait_for_it() -> None:
    async def scenario(zygote: Zygote) -> None:
        booting = asyncio.create_task(zygote.start())
        await quiet(2)
        await zygote.close()
        with pytest.raises(ZygoteDied):
            await booting
        assert not [p for p in children(os.getpid()) if b"zygote" in command_line(p)]

    with_real(scenario)


def test_a_zygote_that_is_stopped_is_killed_when_it_is_closed() -> None:
    async def scenario(zygote: Zygote) -> None:
        await zygote.start()
        [outer] = [p for p in children(os.getpid()) if b"zygote" in command_line(p)]
        [inner] = children(outer)
        os.kill(inner, signal.SIGSTOP)
        await zygote.close()
        assert ended(outer)
        assert ended(inner)

    with_real(scenario)


def test_the_processor_clock_is_the_workers_and_stops_with_it() -> None:
    async def scenario(zygote: Zygote) -> None:
        async with zygote.worker(OPTIONS) as worker:
            await until(worker.cpu_time)
            assert worker.cpu_time() < 1
            worker.kill()
            await worker.gone()
            assert worker.cpu_time() == 0.0

    with_real(scenario)


def test_many_workers_end_at_once_and_every_end_is_told() -> None:
    async def one(zygote: Zygote) -> int:
        async with zygote.worker(OPTIONS) as worker:
            worker.kill()
            return (await worker.exited).status

    async def scenario(zygote: Zygote) -> None:
        statuses = await asyncio.gather(*(one(zygote) for _ in range(60)))
        assert [os.WTERMSIG(s) for s in statuses] == [signal.SIGKILL] * 60

    with_real(scenario)


# --- launching ------------------------------------------------------------------------------------


def test_a_prestarted_zygote_that_nobody_used_ends_with_the_interpreter() -> None:
    program = (
        "from llmspell_supervisor import _launch\n"
        "_launch.prestart('lua')\n"
        "print(*[pid for pid, *_ in _launch._prestarted.values()])\n"
        "raise SystemExit(2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert not is_alive(int(done.stdout))


def test_a_supervisor_with_closed_standard_streams_starts_its_zygote() -> None:
    program = (
        "import os, sys\n"
        "out = os.dup(1)\n"
        "os.closerange(0, 3)\n"
        "from llmspell_supervisor import Spell, run_spell\n"
        "os.write(out, str(run_spell(Spell.from_text('return 42', 'lua')).value).encode())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    assert done.stdout == b"42"


def test_threads_of_a_zygote_do_not_ask_for_what_a_locked_one_is_refused() -> None:
    # rseq(2) takes one registration a thread. Had glibc made it, ours would be an error.
    program = (
        "import ctypes\n"
        "area = (ctypes.addressof(space := ctypes.create_string_buffer(96)) + 31) & ~31\n"
        "print(ctypes.CDLL(None).syscall(334, ctypes.c_void_p(area), 32, 0, 0x53053053))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=launch._ENVIRONMENT, capture_output=True, check=False
    )
    assert done.stdout == b"0\n", done.stderr


@pytest.mark.parametrize("taken", range(4, 14))
def test_a_zygote_gets_its_descriptors_wherever_ours_happen_to_be(taken: int) -> None:
    places = {0: taken, 1: taken, 2: taken + 1, control.CONTROL_FD: taken + 2}
    table = {fd: f"source {fd}" for fd in places.values()}
    for action, *fds in launch._file_actions(places):
        if action == os.POSIX_SPAWN_DUP2:
            table[fds[1]] = table[fds[0]]
        else:
            del table[fds[0]]
    assert {place: table[place] for place in places} == {
        place: f"source {fd}" for place, fd in places.items()
    }
