"""A small host for tests of engines: a real forked process, real pipes, scripted answers.

    outcome = run_engine("lua", "return llm.complete('hi')", manifest={"llm": {"complete": "call"}},
                         handlers={"llm.complete": lambda text: {"content": text}})
    assert outcome.value == {"content": "hi"}

The engine runs as in a worker, but unlocked: containment has its own tests.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from msgspec import Raw, Struct

from llmspell_protocol import (
    NEED_DATA,
    PROTOCOL_VERSION,
    Binding,
    Call,
    Chunk,
    Close,
    Connection,
    ErrorInfo,
    Failure,
    Fault,
    Log,
    MethodKind,
    Ready,
    Reply,
    Result,
    Role,
    Start,
    State,
    WorkerLimits,
    WorkerMessage,
    pack,
    unpack,
)
from llmspell_workers._session import Session
from llmspell_workers.containment import (
    IN_FD,
    OUT_FD,
    Layers,
    Plan,
    _fds,
    _seccomp,
    compile_filter,
    prepare_heap,
)
from llmspell_workers.containment._libc import prctl
from llmspell_workers.engines._interface import EngineOptions, ScriptEngine, ScriptFailure

ENGINES: Final = {
    "lua": ("llmspell_workers.engines._lua", "LuaEngine"),
    "javascript": ("llmspell_workers.engines._javascript", "JavaScriptEngine"),
}

LIMITS: Final = WorkerLimits(
    heap=64 << 20, max_request=1 << 20, max_result=1 << 20, max_in_flight=10
)

_PR_SET_NO_NEW_PRIVS: Final = 38

Handler = Callable[..., Any]
"""Takes the arguments of the call. Returns its value, or raises `HandlerFault`; for a stream, a
generator: it yields the chunks and returns the closing value."""


class HandlerFault(Exception):
    """A handler's way to answer with `Fault`."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info.message)
        self.info = info


class Outcome(Struct):
    """What one run left behind."""

    value: Any = None
    result: bytes | None = None
    """The value as msgpack; None if there was no `Result`."""
    failure: Failure | None = None
    logs: list[tuple[str, str]] = []
    calls: list[tuple[str, list[Any]]] = []
    credits: int = 0
    closed: list[int] = []
    """Streams that the script closed."""
    killed: bool = False
    """The deadline passed, and the process was killed."""
    status: int = 0
    """As `os.waitstatus_to_exitcode` gives it."""
    seconds: float = 0.0

    @property
    def texts(self) -> list[str]:
        """The console's entries without their levels."""
        return [text for _, text in self.logs]


_loaded: dict[str, ScriptEngine] = {}


def engine_of(name: str) -> ScriptEngine:
    """The engine, preloaded once in this process as in a zygote."""
    if name not in _loaded:
        module, attribute = ENGINES[name]
        engine: ScriptEngine = getattr(importlib.import_module(module), attribute)()
        prepare_heap()
        engine.preload()
        _loaded[name] = engine
    return _loaded[name]


@functools.cache
def _filter_of(name: str, jit: bool) -> bytes:
    return compile_filter(engine_of(name).syscalls(jit=jit))


def run_engine(
    engine: str,
    source: str,
    *,
    params: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    manifest: dict[str, dict[str, MethodKind]] | None = None,
    handlers: Mapping[str, Handler] | None = None,
    limits: WorkerLimits = LIMITS,
    options: EngineOptions | None = None,
    mode: Any = "execute",
    name: str | None = None,
    deadline: float = 20.0,
    answer_when_open: int = 1,
    self_test: bool = False,
    locked: bool = False,
) -> Outcome:
    """Run one script to its end, or kill it after `deadline` seconds.

    With `answer_when_open` = n, calls are answered only once n of them are open, the youngest
    first: a script that does not call concurrently then never ends. `locked` puts the process under
    the engine's own system-call filter before the script arrives.
    """
    start = Start(
        mode=mode,
        name=name or {"lua": "spell.lua", "javascript": "spell.js"}[engine],
        source=source,
        params=Raw(pack(dict(params or {}))),
        env=dict(env or {}),
        manifest={
            bridge: {name: Binding(kind) for name, kind in methods.items()}
            for bridge, methods in (manifest or {}).items()
        },
        limits=limits,
    )
    loaded = engine_of(engine)
    chosen = options or EngineOptions(heap=limits.heap)
    program = _filter_of(engine, chosen.jit) if locked else None
    worker_read, host_write = os.pipe()
    host_read, worker_write = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(host_write)
            os.close(host_read)
            worker = _Worker(loaded, worker_read, worker_write)
            worker.start(chosen, program)
            worker.run(self_test=self_test)
        except BaseException:  # noqa: BLE001 - a fork must never go back into pytest
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(70)
    os.close(worker_read)
    os.close(worker_write)
    host = _Host(host_read, host_write, handlers or {}, answer_when_open)
    try:
        host.serve(start, began + deadline)
    finally:
        with contextlib.suppress(ProcessLookupError):
            if host.outcome.killed or not host.ended:
                os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(host_read)
        os.close(host_write)
    host.outcome.status = os.waitstatus_to_exitcode(status)
    host.outcome.seconds = time.monotonic() - began
    return host.outcome


class _Worker:
    """What `worker.py` does, without the locks."""

    def __init__(self, engine: ScriptEngine, read_fd: int, write_fd: int) -> None:
        self._engine = engine
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._connection = Connection(Role.WORKER)

    def start(self, options: EngineOptions, program: bytes | None) -> None:
        if program is None:
            self._engine.start(options)
            return
        layers = Layers(strict=True)
        plan = Plan(reader=self._read_fd, writer=self._write_fd, memory=0, cpu=0, program=program)
        _fds.apply(plan, layers)
        self._read_fd, self._write_fd = IN_FD, OUT_FD
        self._engine.start(options)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, what="no_new_privs")
        _seccomp.apply(plan, layers)

    def run(self, *, self_test: bool) -> None:
        if self_test:
            self._engine.self_test()
        self._send(Ready(PROTOCOL_VERSION, self._engine.name, self._engine.version, {}))
        while (start := self._connection.next_message()) is NEED_DATA:
            self._connection.receive_data(os.read(self._read_fd, 65536))
        assert isinstance(start, Start)
        self._send(self._verdict(start))
        os._exit(0)

    def _verdict(self, start: Start) -> Result | Failure:
        session = Session(self._connection, self._read_fd, self._write_fd, start)
        try:
            if start.mode == "validate":
                self._engine.validate(start)
                return Result(Raw(pack(None)))
            return Result(Raw(self._engine.execute(start, session)))
        except ScriptFailure as f:
            return Failure(f.cause, f.error, f.line, f.column, f.stack)

    def _send(self, message: WorkerMessage) -> None:
        view = memoryview(self._connection.send(message))
        while view:
            view = view[os.write(self._write_fd, view) :]


class _Host:
    def __init__(
        self, read_fd: int, write_fd: int, handlers: Mapping[str, Handler], answer_when_open: int
    ) -> None:
        self.outcome = Outcome()
        self.ended = False
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._handlers = handlers
        self._answer_when_open = answer_when_open
        self._connection = Connection(Role.HOST)
        self._waiting: list[Call] = []
        self._streams: dict[int, Generator[Any, None, Any]] = {}

    def serve(self, start: Start, deadline: float) -> None:
        """Until the last message, the end of the pipe, or the deadline."""
        while not self._take_all(start):
            left = max(0, deadline - time.monotonic())
            ready, _, _ = select.select([self._read_fd], [], [], left)
            if not ready:
                self.outcome.killed = True
                return
            data = os.read(self._read_fd, 65536)
            if not data:
                return
            self._connection.receive_data(data)

    def _take_all(self, start: Start) -> bool:
        """Every message that is here; whether the last one was among them."""
        while (message := self._connection.next_message()) is not NEED_DATA:
            if isinstance(message, Ready):
                self._send(start)
            else:
                self._take(message)
        return self.ended

    def _take(self, message: Any) -> None:
        outcome = self.outcome
        match message:
            case Log():
                outcome.logs.append((message.level, message.text))
            case Call():
                outcome.calls.append((message.method, arguments(message)))
                self._waiting.append(message)
                if len(self._waiting) >= self._answer_when_open:
                    while self._waiting:
                        self._answer(self._waiting.pop())
            case Result():
                outcome.result = bytes(message.value)
                outcome.value = unpack(outcome.result)
                self.ended = True
            case Failure():
                outcome.failure = message
                self.ended = True
            case Close():
                outcome.closed.append(message.id)
                self._close(message.id)
            case _:
                outcome.credits += message.chunks
                self._pump(message.id)

    def _answer(self, call: Call) -> None:
        try:
            value = self._handlers[call.method](*arguments(call))
        except HandlerFault as fault:
            self._send(Fault(call.id, fault.info))
            return
        if call.credit:
            self._streams[call.id] = value
            self._pump(call.id)
        else:
            self._send(Reply(call.id, Raw(pack(value))))

    def _pump(self, number: int) -> None:
        """Chunks of a stream, as far as its credit goes."""
        stream = self._streams.get(number)
        if stream is None:
            return
        try:
            while self._connection.credit(number):
                self._send(Chunk(number, Raw(pack(next(stream)))))
        except StopIteration as end:
            self._finish(number, Reply(number, Raw(pack(end.value))))
        except HandlerFault as fault:
            self._finish(number, Fault(number, fault.info))

    def _close(self, number: int) -> None:
        if number in self._streams:
            self._finish(number, Reply(number, Raw(pack(None))))

    def _finish(self, number: int, message: Reply | Fault) -> None:
        del self._streams[number]
        self._send(message)

    def _send(self, message: Any) -> None:
        if self._connection.state is State.DONE:
            return
        view = memoryview(self._connection.send(message))
        with contextlib.suppress(BrokenPipeError):
            while view:
                view = view[os.write(self._write_fd, view) :]


def arguments(call: Call) -> list[Any]:
    values = unpack(call.args)
    assert isinstance(values, list)
    return values
