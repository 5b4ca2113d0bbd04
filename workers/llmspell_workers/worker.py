"""One worker, from fork to its end: lock, test the walls, say Ready, run one script, die."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from msgspec import Raw

from llmspell_protocol import (
    NEED_DATA,
    NULL,
    PROTOCOL_VERSION,
    Caps,
    Connection,
    ErrorInfo,
    Failure,
    Ready,
    Result,
    Role,
    Start,
)

from ._session import READ_SIZE, Session
from .containment import IN_FD, OUT_FD, Plan, contain, self_test
from .engines import EngineOptions, ScriptFailure, is_exhausted

if TYPE_CHECKING:
    from llmspell_protocol.control import WorkerOptions

    from .containment import Filter, Layers
    from .engines import ScriptEngine

_OUR_CAPS = Caps(worker_frame=1 << 30, host_frame=1 << 30, in_flight=1 << 16, credit=1 << 16)
"""A worker need not be protected from its host, which enforces the real caps at its own end."""

_connection = Connection(Role.WORKER, _OUR_CAPS)
"""Of the process, whose only session it is. Made by the zygote, since each worker has a copy."""

_NO_MEMORY = Failure("memory", ErrorInfo("Script", "out of memory"))
_OUT_OF_MEMORY = bytes(Connection(Role.WORKER, _OUR_CAPS).send(_NO_MEMORY))
"""Its frame, made while there is memory: a spell whose objects fill the process leaves none."""

_MAX_REASON = 500
"""Characters of an exception's text that are told to the host."""


def run_worker(
    engine: ScriptEngine,
    options: WorkerOptions,
    filters: dict[bool, Filter],
    layers: Layers,
    fds: list[int],
) -> NoReturn:
    """Everything between fork(2) and _exit(2). Runs in the new process; never returns."""
    status = 70  # EX_SOFTWARE of sysexits.h
    try:
        reader, writer, *cgroups = fds
        plan = Plan(
            reader=reader,
            writer=writer,
            memory=options.memory,
            cpu=options.cpu_seconds,
            address_space=_address_space(engine, options),
            program=filters[options.jit].program,
            trap=filters[options.jit].trap,
            jit=options.jit,
            cgroups=tuple(cgroups),
        )
        _serve(engine, options, plan, layers)
        status = 0
    finally:
        # Whatever happened, the fork must never go back into the zygote's loop; and no finalizer
        # of an engine may run, since a script may have written it.
        os._exit(status)


def _address_space(engine: ScriptEngine, options: WorkerOptions) -> int | None:
    spare = engine.address_space
    # A JIT reserves gigabytes that it never touches.
    return None if spare is None or options.jit else options.memory + spare


def _serve(engine: ScriptEngine, options: WorkerOptions, plan: Plan, layers: Layers) -> None:
    engine_options = EngineOptions(heap=options.heap, jit=options.jit)
    shared = len(layers.states())  # with the zygote, which has told of them
    try:
        contain(plan, layers, lambda: engine.start(engine_options))
        self_test(layers)
        engine.self_test()
    except Exception as error:  # noqa: BLE001 - whatever it is, no script may come to this worker
        failure = Failure("error", ErrorInfo("Internal", str(error)))
        _tell(_connection.send(failure), plan, layers)
        return
    ready = Ready(PROTOCOL_VERSION, engine.name, engine.version, layers.as_dict(shared))
    _write(_connection.send(ready))
    start = _await_start(_connection)
    session = Session(_connection, IN_FD, OUT_FD, start)
    _write(_last_word(engine, start, session))


def _last_word(engine: ScriptEngine, start: Start, session: Session) -> bytes | bytearray:
    """The frame that ends the session; there is one even when no memory is left to make it."""
    try:
        return _connection.send(_outcome(engine, start, session))
    except MemoryError:
        return _OUT_OF_MEMORY


def _tell(frame: bytearray, plan: Plan, layers: Layers) -> None:
    """Say why there is no worker. Where the checklist stopped tells where our end of the pipe is."""
    if not layers.has("fds"):
        try:
            _write(frame, plan.writer)
        except OSError:  # closed already: the layer failed after that
            pass
        else:
            return
    _write(frame)


def _await_start(connection: Connection) -> Start:
    while (message := connection.next_message()) is NEED_DATA:
        data = os.read(IN_FD, READ_SIZE)
        if not data:
            os._exit(0)  # the supervisor has gone, or has no use for a worker any more
        connection.receive_data(data)
    assert isinstance(message, Start)  # the order table allows no other
    return message


def _outcome(engine: ScriptEngine, start: Start, session: Session) -> Result | Failure:
    try:
        if start.mode == "validate":
            engine.validate(start)
            return Result(Raw(NULL))
        value = engine.execute(start, session)
    except ScriptFailure as failure:
        return Failure(failure.cause, failure.error, failure.line, failure.column, failure.stack)
    except MemoryError:
        return _NO_MEMORY
    except Exception as error:  # noqa: BLE001 - a bug of the engine: told, not hidden in a status
        if is_exhausted():
            return _NO_MEMORY
        text = f"{type(error).__name__}: {error}"[:_MAX_REASON]
        return Failure("error", ErrorInfo("Internal", text))
    if value != NULL and len(value) > start.limits.max_result:
        text = f"the result has {len(value)} bytes; the limit is {start.limits.max_result}"
        return Failure("conversion", ErrorInfo("Limit", text, field="max_output"))
    return Result(Raw(value))


def _write(frame: bytes | bytearray, fd: int = OUT_FD) -> None:
    written = os.write(fd, frame)  # all of it, usually, and nothing is made for it
    while written < len(frame):
        written += os.write(fd, memoryview(frame)[written:])
