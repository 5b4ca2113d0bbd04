"""What an engine's start makes is made once for a zygote, in a process that is gone afterwards."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import pytest

from llmspell_workers import _rehearsal
from llmspell_workers._rehearsal import rehearse
from llmspell_workers.engines import EngineOptions
from tests.workers.support.host import engine_of


class Rehearsed:
    """An engine that does this when it is rehearsed."""

    def __init__(self, act: Callable[[], bytes]) -> None:
        self.recalled: list[bytes] = []
        self.rehearse = act

    def recall(self, made: bytes) -> None:
        self.recalled.append(made)


def tried(act: Callable[[], bytes]) -> list[bytes]:
    engine: Any = Rehearsed(act)
    rehearse(engine)
    with pytest.raises(ChildProcessError):  # none is left
        os.waitpid(-1, os.WNOHANG)
    return engine.recalled  # type: ignore[no-any-return]


def crash() -> bytes:
    ctypes.string_at(0)
    return b"never"


def fail() -> bytes:
    raise LookupError("a part is missing")


def test_what_the_child_makes_is_recalled() -> None:
    assert tried(lambda: b"made" * 100_000) == [b"made" * 100_000]
    pid = os.getpid()
    assert tried(lambda: b"%d" % os.getpid()) != [b"%d" % pid]


@pytest.mark.parametrize("act", [bytes, crash, fail], ids=["nothing", "crash", "error"])
def test_what_comes_to_nothing_is_not_recalled(act: Callable[[], bytes]) -> None:
    assert tried(act) == []


def test_an_engine_need_not_have_it() -> None:
    engine: Any = object()
    rehearse(engine)


def test_too_much_is_not_recalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rehearsal, "_MOST", 100)
    engine: Any = Rehearsed(lambda: bytes(1 << 20))
    rehearse(engine)
    assert engine.recalled == []
    assert os.wait()[1] != 0  # it found nobody to write to


def test_one_that_is_late_is_left_to_be_buried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rehearsal, "PATIENCE", 0)
    reader, writer = os.pipe()

    def wait() -> bytes:
        os.close(writer)
        return os.read(reader, 1)

    engine: Any = Rehearsed(wait)
    rehearse(engine)
    assert engine.recalled == []
    os.close(writer)
    os.close(reader)
    os.wait()


@pytest.mark.parametrize("resource", ["pipe", "fork"])
def test_without_the_means_workers_start_as_before(
    resource: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, resource, refuse)
    before = set(os.listdir("/proc/self/fd"))
    engine: Any = Rehearsed(lambda: b"made")
    rehearse(engine)
    assert engine.recalled == []
    assert set(os.listdir("/proc/self/fd")) == before


# --- SpiderMonkey's own JavaScript ---------------------------------------------------------------


def started_from(parsed: bytes, *, jit: bool = False) -> bytes:
    """Start the engine in a child, from `parsed`; what it had to parse itself, as written down."""
    engine: Any = engine_of("javascript")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            own = engine._core.self_hosted
            own.parsed, own.writes = parsed, True
            engine.start(EngineOptions(heap=64 << 20, jit=jit))
            engine.self_test()
            view = memoryview(own.written)
            while view:
                view = view[os.write(writer, view) :]
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        written = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return written


@pytest.mark.parametrize("jit", [False, True])
def test_a_worker_does_not_parse_what_a_rehearsal_has_parsed(jit: bool) -> None:
    engine: Any = engine_of("javascript")
    own = engine._core.self_hosted
    try:
        rehearse(engine)
        assert len(own.parsed) > 100_000
        assert started_from(own.parsed, jit=jit) == b""
    finally:
        own.parsed = b""
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("broken", [b"", b"nothing that SpiderMonkey has written", bytes(4096)])
def test_what_is_no_good_is_parsed_after_all(broken: bytes) -> None:
    assert len(started_from(broken)) > 100_000
