"""A JavaScript worker has one thread; with a JIT, or by a build that hides the switch, it has more."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from llmspell_workers.engines import EngineOptions
from llmspell_workers.engines._javascript import _threads as threads
from tests.workers.support.host import engine_of


def threads_of_a_start(*, jit: bool = False, hidden: bool = False) -> int:
    """How many there are once the engine has started and passed its own test."""
    engine: Any = engine_of("javascript")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if hidden:
                engine._core.extra_threads = None
            engine.start(EngineOptions(heap=64 << 20, jit=jit))
            engine.self_test()
            os.write(writer, b"%d" % len(os.listdir("/proc/self/task")))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    os.waitpid(pid, 0)
    return int(said)


def test_without_a_jit_there_is_one_thread() -> None:
    assert threads_of_a_start() == 1


@pytest.mark.parametrize("case", [{"jit": True}, {"hidden": True}], ids=["jit", "hidden"])
def test_with_a_jit_or_without_the_switch_the_engine_has_its_threads(case: Any) -> None:
    assert threads_of_a_start(**case) > 1


def test_the_collector_does_all_of_its_work_in_one_thread() -> None:
    engine: Any = engine_of("javascript")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            engine.start(EngineOptions(heap=64 << 20, jit=False))
            found = engine._core.evaluate(
                "let kept = new Map(), dropped = 0;"
                "for (let i = 0; i < 300000; i++) {"
                "  kept.set(i % 20000, {number: i, list: [i, {i}], text: `t${i}`});"
                "  dropped += new Uint8Array(256).length;"
                "}"
                "kept.size + kept.get(7).list[1].i + dropped",
                "garbage",
            )
            status = 0 if found == 20_000 + 280_007 + 300_000 * 256 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# --- how the switch is found ---------------------------------------------------------------------


def library() -> Path:
    engine: Any = engine_of("javascript")
    return next(Path(engine._core._path).parent.glob("libmozjs-*.so"))


def test_the_switch_is_on_before_anybody_turns_it() -> None:
    engine: Any = engine_of("javascript")
    assert engine._core.extra_threads.value is True


@pytest.mark.parametrize("content", [b"", b"text" * 100, b"\x7fELF\x02\x01" + bytes(10)])
def test_in_what_is_no_library_nothing_is_found(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "library.so"
    file.write_bytes(content)
    assert threads._offset(str(file)) is None
    assert threads._offset(str(tmp_path / "none")) is None


def test_in_a_library_without_symbols_or_with_another_kind_of_them_nothing_is_found(
    tmp_path: Path,
) -> None:
    file = tmp_path / "library.so"
    shutil.copy(library(), file)
    offset = threads._offset(str(file))
    assert offset is not None
    data = file.read_bytes()
    # Its entry among the symbols: where it is, and that it is of one byte.
    entry = data.index(struct.pack("<QQ", offset, 1)) - 8
    for at, value in ((entry + 4, b"\x02"), (entry + 16, b"\x04")):  # a function; of four bytes
        with file.open("r+b") as changed:
            changed.seek(at)
            changed.write(value)
        assert threads._offset(str(file)) is None
        with file.open("r+b") as changed:
            changed.seek(at)
            changed.write(data[at : at + 1])
    assert threads._offset(str(file)) == offset
    with file.open("r+b") as changed:  # its name
        changed.seek(data.index(threads._VARIABLE))
        changed.write(b"X")
    assert threads._offset(str(file)) is None
