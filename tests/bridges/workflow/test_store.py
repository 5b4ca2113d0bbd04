"""Runs that are kept: whose they are, who may run them, how many there are, what is read back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.workflow import WorkflowConfig
from llmspell_bridges.workflow._store import About, PlainData, Store

pytestmark = pytest.mark.xdist_group("langgraph")  # it takes half a second to import

ABOUT = About(workflow="w", shape={"kind": "sequential", "order": [], "steps": {}}, input={"n": 1})


def store(folder: Path, owner: str = "spell:a", **settings: Any) -> Store:
    return Store(WorkflowConfig(directory=str(folder), **settings), owner)


async def keep(kept: Store, *runs: str, finished: bool = True) -> None:
    for run in runs:
        async with kept.begin(run, ABOUT) as found:
            if finished:
                await found.finish()


def refused(work: Callable[[], Awaitable[object]]) -> BridgeError:
    async def main() -> None:
        await work()

    with pytest.raises(BridgeError) as caught:
        asyncio.run(main())
    return caught.value


def status(kept: Store) -> dict[str, str]:
    return {run.id: run.status for run in kept.runs()}


def test_a_run_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    kept = store(tmp_path)
    asyncio.run(keep(kept, "one"))
    asyncio.run(keep(kept, "two", finished=False))
    assert status(kept) == {"one": "completed", "two": "unfinished"}

    async def reopened() -> About:
        async with kept.reopen("two") as found:
            return found.about

    assert asyncio.run(reopened()) == ABOUT
    assert kept.forget("one")
    assert not kept.forget("one")
    assert status(kept) == {"two": "unfinished"}


def test_what_is_kept_is_for_its_owner_only(tmp_path: Path) -> None:
    asyncio.run(keep(store(tmp_path), "one"))
    other = store(tmp_path, "spell:b")
    assert other.runs() == []
    assert not other.forget("one")

    async def steal() -> None:
        async with other.reopen("one"):
            pass

    assert refused(steal).message == "this spell has no run 'one'; see workflow.runs()"
    for path in tmp_path.rglob("*"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    kept = store(tmp_path)
    asyncio.run(keep(kept, "one"))
    error = refused(lambda: keep(kept, "one"))
    assert (error.kind, error.field) == ("Validation", "id")


def test_a_run_is_under_way_once(tmp_path: Path) -> None:
    kept = store(tmp_path)

    async def twice() -> None:
        async with kept.begin("one", ABOUT):
            assert status(kept) == {"one": "running"}
            with pytest.raises(BridgeError, match="under way"):
                kept.forget("one")
            async with kept.reopen("one"):
                pass

    assert refused(twice).message == "the run 'one' is under way"


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    kept = store(tmp_path)
    asyncio.run(keep(kept, "one", finished=False))
    lock = next(tmp_path.rglob("one.lock"))
    holder = (
        "import fcntl, os, sys; d = os.open(sys.argv[1], os.O_RDWR);"
        "fcntl.flock(d, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert status(kept) == {"one": "running"}
        process.kill()
        process.wait()
    assert status(kept) == {"one": "unfinished"}


def test_the_oldest_runs_give_way(tmp_path: Path) -> None:
    kept = store(tmp_path, max_runs=2, keep_days=1.0)
    asyncio.run(keep(kept, "a", "b"))
    for age, run in ((300, "a"), (200, "b")):
        path = next(tmp_path.rglob(f"{run}.sqlite"))
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    asyncio.run(keep(kept, "c"))
    assert set(status(kept)) == {"b", "c"}
    for run in ("b", "c"):
        path = next(tmp_path.rglob(f"{run}.sqlite"))
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * 86_400))
    asyncio.run(keep(kept, "d"))
    assert set(status(kept)) == {"d"}


def test_nothing_is_kept_where_the_operator_says_so(tmp_path: Path) -> None:
    error = refused(lambda: keep(store(tmp_path, max_runs=0), "one"))
    assert error.kind == "Policy"
    assert "max_runs" in error.message


def test_a_run_has_a_size(tmp_path: Path) -> None:
    kept = store(tmp_path, max_run_size=65_536)

    async def fill() -> None:
        about = msgspec.structs.replace(ABOUT, input={"x": "y" * 100_000})
        async with kept.begin("large", about):
            pass

    error = refused(fill)
    assert (error.kind, "max_run_size" in error.message) == ("Limit", True)


def test_a_file_that_is_no_run_is_told_apart(tmp_path: Path) -> None:
    kept = store(tmp_path)
    asyncio.run(keep(kept, "one", "two"))
    next(tmp_path.rglob("one.sqlite")).write_bytes(b"not a database" * 100)
    file = next(tmp_path.rglob("two.sqlite"))
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE run SET value = x'c1' WHERE key = 'about'")
    assert kept.runs() == []

    async def reopen(run: str) -> None:
        async with kept.reopen(run):
            pass

    for run in ("one", "two"):
        error = refused(lambda run=run: reopen(run))  # type: ignore[misc]
        assert (error.kind, error.field) == ("Serialization", "id")
        assert kept.forget(run)


def test_checkpoints_are_plain_data_and_nothing_else_is_read() -> None:
    plain = PlainData()
    value = {"a": [1, 2.5, None, "ü", b"\xff"], "b": {"c": True}}
    assert plain.loads_typed(plain.dumps_typed(value)) == value
    assert plain.loads_typed(plain.dumps_typed(ValueError("secret"))) == "ValueError"
    with pytest.raises(TypeError):
        plain.dumps_typed(object())
    for kind in ("pickle", "json", "bytes"):
        with pytest.raises(msgspec.DecodeError):
            plain.loads_typed((kind, pickle.dumps(value)))
    with pytest.raises(msgspec.DecodeError):
        plain.loads_typed(("msgpack", b"\xc1"))
