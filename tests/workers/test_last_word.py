"""The frame that ends a session, when there is no memory left to make one."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Any

import pytest
from lupa.lua54 import LuaRuntime  # type: ignore[import-untyped]
from msgspec import Raw

from llmspell_protocol import (
    PROTOCOL_VERSION,
    Connection,
    ErrorInfo,
    Failure,
    Ready,
    Role,
    Start,
    WorkerLimits,
    pack,
)
from llmspell_workers import worker
from llmspell_workers.engines import is_exhausted
from llmspell_workers.engines._lua import _host

LIMITS = WorkerLimits(heap=1, max_request=1, max_result=100, max_in_flight=1)
START = Start("execute", "x", "return 1", Raw(pack({})), {}, {}, LIMITS)


class Engine:
    """Runs a script into its end."""

    def __init__(self, value: bytes | Exception) -> None:
        self.value = value

    def execute(self, start: Start, session: Any) -> bytes:
        """Give or raise it."""
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def heard(frame: bytes | bytearray) -> Any:
    """What a host understands of it."""
    host = Connection(Role.HOST)
    ready = Connection(Role.WORKER)
    host.receive_data(ready.send(Ready(PROTOCOL_VERSION, "lua", "x", {})))
    host.next_message()
    host.send(START)
    host.receive_data(frame)
    return host.next_message()


class NoMemory:
    """A connection that finds none for its frame."""

    def send(self, message: Any) -> bytearray:
        """As an encoder does then."""
        raise MemoryError


@pytest.mark.parametrize("value", [pack(1), MemoryError(), ValueError("a bug")])
def test_without_memory_for_the_last_frame_there_is_one_that_says_so(
    value: bytes | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_connection", NoMemory())
    engine: Any = Engine(value)
    session: Any = None
    said = heard(worker._last_word(engine, START, session))
    assert said == Failure("memory", ErrorInfo("Script", "out of memory"))


def test_a_frame_is_written_whole_however_little_the_pipe_takes_at_a_time() -> None:
    reader, writer = os.pipe()
    frame = os.urandom(300_000)
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        worker._write(frame, writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as file:
        found = b""
        while part := file.read(1000):
            found += part
    os.waitpid(pid, 0)
    assert found == frame


@pytest.mark.parametrize(("exhausted", "cause"), [(True, "memory"), (False, "error")])
def test_what_fails_for_want_of_memory_is_not_taken_for_a_bug(
    exhausted: bool, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "is_exhausted", lambda: exhausted)
    engine: Any = Engine(SystemError("returned NULL without setting an exception"))
    session: Any = None
    said = worker._outcome(engine, START, session)
    assert isinstance(said, Failure)
    assert said.cause == cause


def test_memory_has_run_out_where_there_is_none_to_be_had() -> None:
    assert not is_exhausted()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
            filled = []
            with contextlib.suppress(MemoryError):
                while True:
                    filled.append(bytes(4096))
            status = 0 if is_exhausted() else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("exhausted", [True, False])
def test_lua_is_told_that_there_is_no_room_where_code_in_c_did_not_say_why_it_failed(
    exhausted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bytes:
        raise SystemError("returned NULL without setting an exception")

    monkeypatch.setattr(_host, "is_exhausted", lambda: exhausted)
    host = _host.Host(LuaRuntime(max_memory=1 << 24), START, None)
    host._operations[b"library"] = fail
    answer = host.cross(b"library", b"json.encode", b"")
    if exhausted:
        assert answer == _host._NO_ROOM
    else:
        assert isinstance(answer, bytes)
        assert b"the worker failed: SystemError" in answer
