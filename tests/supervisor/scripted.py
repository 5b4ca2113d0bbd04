"""A zygote whose workers are played by the test: real pipes, a real process, any bytes.

async def play(peer: Peer) -> None:
    await peer.begin()                      # Ready, and the Start that answers it
    peer.write(b"\\xff" * 8)                # whatever a hostile worker might say
    await peer.exit(3)                      # or: the process ends by itself

report = run(play)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from llmspell_bridges import BridgeRegistry
from llmspell_protocol import (
    NEED_DATA,
    PROTOCOL_VERSION,
    Caps,
    Connection,
    HostMessage,
    Ready,
    Role,
    Start,
    WorkerMessage,
    pack,
)
from llmspell_protocol.control import Exited, Hello, WorkerOptions
from llmspell_supervisor import LogEntry, Policy, RunReport, Spell
from llmspell_supervisor._cgroups import WorkerGroup
from llmspell_supervisor._run import Run
from llmspell_supervisor._worker import Worker

_CAPS = Caps(worker_frame=1 << 30, host_frame=1 << 30, in_flight=64)
"""A worker has none of its own: the host's are what is tested."""
READY = Ready(PROTOCOL_VERSION, "lua", "played", {"played": "on: by a test"})
HELLO = Hello("lua", "played", (".lua",), {"zygote": "on: by a test"}, ())

Play = Callable[["Peer"], Awaitable[None]]


async def until(done: Callable[[], object]) -> None:
    """Let the event loop turn until `done`; the test's own limit is the deadline."""
    while not done():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)


class Peer:
    """The worker's side of the pipes, for a test to play."""

    def __init__(self, read_fd: int, write_fd: int, stdin: int, pid: int) -> None:
        self.connection = Connection(Role.WORKER, _CAPS)
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._stdin = stdin
        self.pid = pid

    async def begin(self) -> Start:
        """Say Ready and wait for Start."""
        self.send(READY)
        start = await self.receive()
        assert isinstance(start, Start)
        return start

    def send(self, *messages: WorkerMessage) -> None:
        """Write legal messages, all of them at once."""
        self.write(b"".join(self.connection.send(message) for message in messages))

    def write(self, data: bytes) -> None:
        """Write any bytes that the pipe has room for."""
        assert os.write(self._write_fd, data) == len(data)

    async def write_all(self, data: bytes | bytearray) -> None:
        """Write as much as anyone likes, as the host reads it."""
        loop = asyncio.get_running_loop()
        while data:
            try:
                data = data[os.write(self._write_fd, data) :]
            except BlockingIOError:
                room = loop.create_future()
                loop.add_writer(self._write_fd, room.set_result, None)
                await room
                loop.remove_writer(self._write_fd)

    async def receive(self) -> HostMessage:
        """The next message of the host; its bytes must be whole frames."""
        while (message := self.connection.next_message()) is NEED_DATA:
            data = await self.read()
            assert data, "the host has closed the pipe"
            self.connection.receive_data(data)
        return message  # type: ignore[return-value]

    async def read(self) -> bytes:
        """What is in the pipe, once there is something; nothing at its end."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self._read_fd, ready.set_result, None)
        try:
            await ready
        finally:
            if self._read_fd >= 0:
                loop.remove_reader(self._read_fd)
        return os.read(self._read_fd, 1 << 20)

    def close_output(self) -> None:
        """Close the pipe and live on."""
        os.close(self._write_fd)
        self._write_fd = -1

    def exit(self, command: str = "exit 0") -> None:
        """End the process, by a command of the shell, and with it both pipe ends."""
        os.write(self._stdin, command.encode() + b"\n")
        self.close()

    def close(self) -> None:
        """Close whatever is open; who waits for it waits for ever."""
        loop = asyncio.get_running_loop()
        for name in ("_read_fd", "_write_fd", "_stdin"):
            if (fd := getattr(self, name)) >= 0:
                loop.remove_reader(fd)
                loop.remove_writer(fd)
                os.close(fd)
                setattr(self, name, -1)


class ScriptedZygote:
    """Gives workers that a test plays, each with a scratch process that can be killed."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.started = asyncio.Event()
        self.started.set()
        self.forked = asyncio.Event()
        self.forked.set()
        self.workers: list[Worker] = []

    @property
    def hello(self) -> Hello | None:
        """What it says once it is there."""
        return HELLO if self.started.is_set() else None

    async def start(self) -> Hello:
        """Wait until the test lets it."""
        await self.started.wait()
        return HELLO

    @contextlib.asynccontextmanager
    async def worker(self, options: WorkerOptions) -> AsyncIterator[Worker]:
        """As the real one: dead and reaped at the end."""
        await self.forked.wait()
        worker, peer = _scratch_worker()
        self.workers.append(worker)
        playing = asyncio.ensure_future(self._play(peer))
        # A play that fails ends its worker, so that the run does not wait for its deadline.
        playing.add_done_callback(lambda t: None if _went_well(t) else worker.kill())
        try:
            yield worker
        finally:
            worker.kill()
            await asyncio.shield(worker.exited)
            playing.cancel()
            results = await asyncio.gather(playing, return_exceptions=True)
            peer.close()
            worker.close()
            if isinstance(results[0], Exception):
                raise results[0]


def _went_well(task: asyncio.Future[None]) -> bool:
    return task.cancelled() or task.exception() is None


def _scratch_worker() -> tuple[Worker, Peer]:
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    stdin, command = os.pipe()
    for fd in (our_in, our_out, their_in, their_out):
        os.set_blocking(fd, False)
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    shell = ["/bin/sh", "-c", 'read -r line; eval "$line"']
    pid = os.posix_spawn(shell[0], shell, {}, file_actions=actions)
    os.close(stdin)
    worker = Worker(1, WorkerGroup([]), our_in, our_out)
    pidfd = os.pidfd_open(pid)
    worker.attach(pidfd)
    peer = Peer(their_in, their_out, command, pid)
    loop = asyncio.get_running_loop()

    def reap() -> None:
        loop.remove_reader(pidfd)
        peer.close()  # as the kernel closes what a process had
        _, status, usage = os.wait4(pid, 0)
        cpu = usage.ru_utime + usage.ru_stime
        # Its true peak would be that of the tests' own process, between fork and exec.
        worker.exited.set_result(Exited(1, status, cpu, max_rss=1 << 20))

    loop.add_reader(pidfd, reap)
    return worker, peer


def new_run(
    policy: Policy | None = None,
    *,
    registry: BridgeRegistry | None = None,
    on_log: Callable[[LogEntry], None] | None = None,
    params: dict[str, Any] | None = None,
    env: dict[str, str] | None = None,
) -> Run:
    """A run that waits for a zygote. Bridges of the registry are granted."""
    registry = registry or BridgeRegistry()
    return Run(
        Spell.from_text("return 1", "lua", "spell.lua"),
        pack(params or {}),
        policy or Policy(allow_bridges=registry.names),
        registry,
        number=1,
        env=env or {},
        model=None,
        on_log=on_log,
        on_activity=None,
    )


def run(play: Play, policy: Policy | None = None, **options: Any) -> RunReport:
    """Play one worker against a supervisor's run, to the report."""

    async def once() -> RunReport:
        return await new_run(policy, **options).execute(ScriptedZygote(play))  # type: ignore[arg-type]

    return asyncio.run(once())
