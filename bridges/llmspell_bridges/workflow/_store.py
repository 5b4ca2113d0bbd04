"""Runs that are kept: one SQLite file each, locked while it runs. Loaded by `_library.engine`.

    DIRECTORY/workflows/OWNER/ID.sqlite     what the run is, and its checkpoints
    DIRECTORY/workflows/OWNER/ID.lock       locked by whoever runs it; the kernel lets go of it

OWNER is a digest of whose runs they are. What is stored is plain data, and nothing else is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Any, Final, Literal

import aiosqlite
import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from msgspec import Struct

from .._errors import BridgeError
from .._kept import state_directory
from ._config import WorkflowConfig
from ._types import KeptRun

_PAGE: Final = 4096
"""Bytes of a page of SQLite, in which it counts the size of a file."""
_DAY: Final = 86_400.0
_SUFFIX: Final = ".sqlite"


class About(Struct, frozen=True, kw_only=True):
    """What a run is, written before its first step."""

    workflow: str
    shape: dict[str, Any]
    input: dict[str, Any]


class Kept(Struct, frozen=True, kw_only=True):
    """A run whose file is open and locked."""

    about: About
    checkpoints: Checkpoints

    async def finish(self) -> None:
        """Mark it as completed."""
        await self.checkpoints.conn.execute("INSERT OR REPLACE INTO run VALUES ('done', x'')")
        await self.checkpoints.conn.commit()


class Store:
    """The kept runs of one owner."""

    def __init__(self, config: WorkflowConfig, owner: str) -> None:
        """Raises `BridgeError` when the directory cannot be made."""
        self._config = config
        base = state_directory(config, "workflow.directory")
        digest = sha256(owner.encode()).hexdigest()
        self._folder = os.path.join(base, "workflows", digest)

    @contextlib.asynccontextmanager
    async def begin(self, run: str, about: About) -> AsyncIterator[Kept]:
        """Keep a new run. Raises `BridgeError` if there is one of that name."""
        await asyncio.to_thread(self._make_room)
        with self._locked(run):
            if self._has(run):
                message = (
                    f"there is a run '{run}' already: resume it, forget it, or take another id"
                )
                raise BridgeError("Validation", message, field="id")
            os.close(os.open(self._file(run), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            async with self._connected(run) as connection:
                await connection.execute("CREATE TABLE run (key TEXT PRIMARY KEY, value BLOB)")
                data = msgspec.msgpack.encode(about)
                await connection.execute("INSERT INTO run VALUES ('about', ?)", (data,))
                await connection.commit()
                yield Kept(about=about, checkpoints=Checkpoints(connection))

    @contextlib.asynccontextmanager
    async def reopen(self, run: str) -> AsyncIterator[Kept]:
        """Go on with a kept run. Raises `BridgeError` if there is none, or it is under way."""
        if not self._has(run):
            message = f"this spell has no run '{run}'; see workflow.runs()"
            raise BridgeError("Validation", message, field="id")
        with self._locked(run):
            async with self._connected(run) as connection:
                async with connection.execute("SELECT value FROM run WHERE key='about'") as rows:
                    row = await rows.fetchone()
                about = msgspec.msgpack.decode(row[0] if row else b"", type=About)
                yield Kept(about=about, checkpoints=Checkpoints(connection))

    def runs(self) -> list[KeptRun]:
        """What is kept, the latest first. Blocks."""
        found = [self._look(name) for name in self._names()]
        return sorted((run for run in found if run), key=lambda run: -run.updated)

    def forget(self, run: str) -> bool:
        """Delete a run; false when there is none. Blocks. Raises `BridgeError` if it is under way."""
        if not self._has(run):
            return False
        with self._locked(run):
            self._delete(run)
        return True

    def _has(self, run: str) -> bool:
        return os.path.lexists(self._file(run))

    def _file(self, run: str) -> str:
        return os.path.join(self._folder, run + _SUFFIX)

    def _names(self) -> list[str]:
        try:
            files = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return [name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX)]

    def _look(self, run: str) -> KeptRun | None:
        """What there is to know of a run; none when its file is no run, or has just gone."""
        try:
            with contextlib.closing(sqlite3.connect(self._file(run))) as connection:
                rows = dict(connection.execute("SELECT key, value FROM run").fetchall())
            about = msgspec.msgpack.decode(rows["about"], type=About)
            updated = os.stat(self._file(run)).st_mtime
        except (sqlite3.Error, KeyError, msgspec.MsgspecError, OSError):
            return None
        status: Literal["running", "unfinished", "completed"] = "unfinished"
        if "done" in rows:
            status = "completed"
        elif self._is_locked(run):
            status = "running"
        return KeptRun(id=run, workflow=about.workflow, status=status, updated=updated)

    def _is_locked(self, run: str) -> bool:
        try:
            with self._locked(run):
                return False
        except BridgeError:
            return True

    def _make_room(self) -> None:
        """Delete what is old, and the oldest while there are too many."""
        most = self._config.max_runs
        if most == 0:
            raise BridgeError("Policy", "no runs are kept here: max_runs of [workflow] is 0")
        for folder in (os.path.dirname(self._folder), self._folder):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
        ages = {}
        for run in self._names():
            with contextlib.suppress(FileNotFoundError):
                ages[run] = time.time() - os.stat(self._file(run)).st_mtime
        oldest = sorted(ages, key=lambda run: -ages[run])
        for place, run in enumerate(oldest):
            too_many = len(oldest) - place >= most
            if too_many or ages[run] > self._config.keep_days * _DAY:
                with contextlib.suppress(BridgeError):  # it is under way
                    self.forget(run)
        if len(self._names()) >= most:
            raise BridgeError("Limit", f"{most} kept runs are under way: max_runs of [workflow]")

    def _delete(self, run: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(run) + suffix)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._lock_file(run))

    def _lock_file(self, run: str) -> str:
        return os.path.join(self._folder, run + ".lock")

    @contextlib.contextmanager
    def _locked(self, run: str) -> Iterator[None]:
        """Hold a run's lock. Raises `BridgeError` if somebody else does."""
        path = self._lock_file(run)
        while True:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    message = f"the run '{run}' is under way"
                    raise BridgeError("Validation", message, field="id") from None
                if _is_at(descriptor, path):
                    yield
                    return
            finally:
                os.close(descriptor)

    @contextlib.asynccontextmanager
    async def _connected(self, run: str) -> AsyncIterator[aiosqlite.Connection]:
        try:
            async with aiosqlite.connect(self._file(run)) as connection:
                pages = self._config.max_run_size // _PAGE
                await connection.execute(f"PRAGMA page_size={_PAGE}")
                await connection.execute(f"PRAGMA max_page_count={pages}")
                yield connection
        except sqlite3.OperationalError as error:
            if "full" not in str(error):
                raise _unreadable(run) from error
            message = f"the run '{run}' takes more than max_run_size of [workflow]"
            raise BridgeError("Limit", message) from error
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise _unreadable(run) from error


def _unreadable(run: str) -> BridgeError:
    message = f"the file of the run '{run}' cannot be used: forget it, or take another id"
    return BridgeError("Serialization", message, field="id")


def _is_at(descriptor: int, path: str) -> bool:
    """Whether `path` is still the file that was opened: `forget` deletes the lock that it holds."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


class PlainData:
    """The serializer of checkpoints: msgpack of plain data, both ways. No pickle, no classes."""

    def dumps_typed(self, value: Any) -> tuple[str, bytes]:
        """`value` and how it was written. Raises `TypeError` for what is no plain data."""
        if isinstance(value, BaseException):  # of a step that failed; it is performed again
            value = type(value).__name__
        return "msgpack", msgspec.msgpack.encode(value)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """What `dumps_typed` wrote. Raises `msgspec.DecodeError` for anything else."""
        if data[0] != "msgpack":
            raise msgspec.DecodeError(f"a checkpoint written as {data[0]}")
        return msgspec.msgpack.decode(data[1])


class Checkpoints(AsyncSqliteSaver):
    """LangGraph's checkpoints in one file, of which only the latest are kept."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        super().__init__(connection, serde=PlainData())

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint, and drop what it makes needless."""
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        space = saved["configurable"]["checkpoint_ns"]
        # Of the workflows inside finished steps nothing is needed any more.
        inner = f"{space}|" if space else ""
        async with self.lock:
            for table in ("checkpoints", "writes"):
                await self.conn.execute(
                    f"DELETE FROM {table} WHERE (checkpoint_ns = ? AND checkpoint_id < ?)"  # noqa: S608
                    " OR (checkpoint_ns != ? AND substr(checkpoint_ns, 1, ?) = ?)",
                    (space, checkpoint["id"], space, len(inner), inner),
                )
            await self.conn.commit()
        return saved
