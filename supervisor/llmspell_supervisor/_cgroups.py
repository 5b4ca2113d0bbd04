"""Control groups: a memory and process limit per worker, and a kill that nothing outlives.

An addition, not a wall of its own: workers are limited without it, and many hosts delegate none.
Version 2 is used where our own group may have children; version 1 memory and pids where that is
what there is. Groups are named `llmspell-PID-N/ID`; those of supervisors that died are removed by
the next one.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from ._small_file import read_small

_PREFIX: Final = "llmspell-"
_CONTROLLERS: Final = ("memory", "pids")
_WORKER_TASKS: Final = 32
"""Processes and threads in a worker's group: SpiderMonkey's helpers, with a JIT, are at most 8 and
seccomp stops any new one, so this only bounds what happens before lock-down."""
_SHORTAGE: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EIO, errno.EAGAIN}
)
"""Errors that are no answer of the host's about what it delegates."""


@contextlib.contextmanager
def _as_delegated() -> Iterator[None]:
    """Go on without what the host refuses or has not; a shortage of ours is an `OSError`."""
    try:
        yield
    except OSError as error:
        if error.errno in _SHORTAGE:
            raise


_supervisors = itertools.count()  # several may live in one process, each with groups of its own


class Hierarchy(NamedTuple):
    """One mounted hierarchy in which our own group may have children."""

    version: int
    controllers: frozenset[str]
    base: str


def discover() -> list[Hierarchy]:
    """The hierarchies that are ours to use, found in /proc/self. Raises `OSError`."""
    texts = "", ""
    with (
        _as_delegated(),
        open("/proc/self/mountinfo") as mounts,
        open("/proc/self/cgroup") as groups,
    ):
        texts = mounts.read(), groups.read()
    return _usable(*texts)


def _usable(mountinfo: str, groups: str) -> list[Hierarchy]:
    own: dict[str, str] = {}
    for line in groups.splitlines():  # "4:memory:/path", and "0::/path" for version 2
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    found = []
    for line in mountinfo.splitlines():
        fields, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        root, mount = fields.split(" ")[3:5]
        if kind == "cgroup2":
            base = _inside(mount, root, own.get("", "/"))
            with _as_delegated(), open(f"{base}/cgroup.controllers") as file:
                # To join one stops every fork of the host for 10 ms: not for a tree that limits nothing,
                # as there is one beside those of version 1.
                names = frozenset(file.read().split())
                if names & frozenset(_CONTROLLERS):
                    found.append(Hierarchy(2, names, base))
        elif kind == "cgroup":
            names = frozenset(options.split(",")) & frozenset(_CONTROLLERS)
            paths = [p for c, p in own.items() if names & set(c.split(","))]
            if paths:
                found.append(Hierarchy(1, names, _inside(mount, root, paths[0])))
    return [h for h in found if os.access(h.base, os.W_OK)]


def _inside(mount: str, root: str, path: str) -> str:
    """Where our group is, below a mount that may show only part of the hierarchy."""
    relative = os.path.relpath(path, root) if root != "/" else path.lstrip("/")
    return os.path.normpath(os.path.join(mount, relative))


class WorkerGroup:
    """The groups of one worker, one per hierarchy. Made before the fork, removed after the end."""

    def __init__(self, paths: list[tuple[Hierarchy, str]]) -> None:
        self._paths = paths

    def open_procs(self) -> list[int]:
        """Descriptors of each `cgroup.procs`, for the worker to write itself into.

        In version 1 it is `tasks`, which moves one thread, and the worker has no other yet: the
        kernel then need not stop every fork of the host for it, which takes milliseconds.

        Raises `OSError`, and has left nothing open then.
        """
        fds: list[int] = []
        with contextlib.ExitStack() as undo:
            for hierarchy, path in self._paths:
                name = "cgroup.procs" if hierarchy.version == 2 else "tasks"
                fds.append(os.open(f"{path}/{name}", os.O_WRONLY | os.O_CLOEXEC))
                undo.callback(os.close, fds[-1])
            undo.pop_all()
        return fds

    def kill(self) -> None:
        """Kill all that is in the group, whatever it has become (version 2 only)."""
        for hierarchy, path in self._paths:
            if hierarchy.version == 2:
                with contextlib.suppress(OSError):  # an addition to the kill by pidfd
                    _write(f"{path}/cgroup.kill", "1")

    def out_of_memory(self) -> bool:
        """Whether the kernel killed in here because the memory limit was reached."""
        for hierarchy, path in self._paths:
            name = "memory.events" if hierarchy.version == 2 else "memory.oom_control"
            with contextlib.suppress(OSError):
                counts = map(bytes.split, read_small(f"{path}/{name}").splitlines())
                if any(w[0] == b"oom_kill" and w[1] != b"0" for w in counts):
                    return True
        return False

    def peak_memory(self) -> int | None:
        """Bytes that the worker itself held at most, or None where the host does not count."""
        for hierarchy, path in self._paths:
            name = "memory.peak" if hierarchy.version == 2 else "memory.max_usage_in_bytes"
            with contextlib.suppress(OSError, ValueError):
                return int(read_small(f"{path}/{name}"))
        return None

    def remove(self) -> bool:
        """Remove the groups, which are empty once the worker has gone; whether none is left."""
        left = [path for _, path in self._paths if not _is_removed(path)]
        return not left


class Cgroups:
    """The groups of one supervisor. A context: what it made is gone at its end."""

    def __init__(self) -> None:
        self._own: list[tuple[Hierarchy, str]] = []
        self._left: list[WorkerGroup] = []
        name = f"{_PREFIX}{os.getpid()}-{next(_supervisors)}"
        for hierarchy in discover():
            _remove_stale(hierarchy.base)
            path = f"{hierarchy.base}/{name}"
            with _as_delegated():
                _delegate(hierarchy, hierarchy.base)
                os.mkdir(path)
                self._own.append((hierarchy, path))
                _delegate(hierarchy, path)

    @property
    def state(self) -> str:
        """What a worker gets here, for reports and `doctor`; empty when nothing is delegated."""
        parts = []
        for hierarchy, path in self._own:
            if hierarchy.version == 1:
                parts += [f"v1 {name}" for name in sorted(hierarchy.controllers)]
            else:
                with contextlib.suppress(OSError), open(f"{path}/cgroup.controllers") as file:
                    parts += [f"v2 {n}" for n in file.read().split() if n in _CONTROLLERS]
                parts.append("v2 kill")
        return ", ".join(parts)

    def create(self, worker: int, memory: int) -> WorkerGroup:
        """Groups for one worker, limited to `memory` bytes. Fewer, where the host refuses.

        Raises `OSError` for any other reason, and has left none then.
        """
        made: list[tuple[Hierarchy, str]] = []
        with contextlib.ExitStack() as undo:
            undo.callback(WorkerGroup(made).remove)
            for hierarchy, own in self._own:
                with _as_delegated():
                    made.append((hierarchy, _limited(hierarchy, f"{own}/{worker}", memory)))
            undo.pop_all()
        return WorkerGroup(made)

    def remove(self, group: WorkerGroup) -> None:
        """Remove a worker's groups; if it is still about to die, with the next one's."""
        self._left = [left for left in (*self._left, group) if not left.remove()]

    def close(self) -> bool:
        """Remove the supervisor's own groups; whether none is left."""
        for _, path in self._own:
            _remove_tree(path)
        return not any(os.path.exists(path) for _, path in self._own)


def _delegate(hierarchy: Hierarchy, path: str) -> None:
    """Let the groups below `path` have controllers of their own (version 2 asks for each)."""
    if hierarchy.version == 2:
        for controller in hierarchy.controllers & frozenset(_CONTROLLERS):
            with _as_delegated():
                _write(f"{path}/cgroup.subtree_control", f"+{controller}")


def _limited(hierarchy: Hierarchy, path: str, memory: int) -> str:
    """Make a group, with its limits or not at all. Raises `OSError`."""
    os.mkdir(path)
    try:
        _limit(hierarchy, path, memory)
    except OSError:
        os.rmdir(path)
        raise
    return path


def _limit(hierarchy: Hierarchy, path: str, memory: int) -> None:
    if hierarchy.version == 2:
        _write(f"{path}/memory.max", str(memory))
        _write(f"{path}/memory.swap.max", "0")
        _write(f"{path}/memory.oom.group", "1")
        _write(f"{path}/pids.max", str(_WORKER_TASKS))
        return
    if "memory" in hierarchy.controllers:
        _write(f"{path}/memory.limit_in_bytes", str(memory))
        _write(f"{path}/memory.memsw.limit_in_bytes", str(memory))
    if "pids" in hierarchy.controllers:
        _write(f"{path}/pids.max", str(_WORKER_TASKS))


def _write(path: str, text: str) -> None:
    """Write to a control file where it exists; which ones do depends on the host."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _is_removed(path: str) -> bool:
    """Remove a group; whether there is none any more."""
    try:
        os.rmdir(path)
    except OSError as error:
        return error.errno == errno.ENOENT
    return True


def _remove_stale(base: str) -> None:
    """Remove groups of supervisors that are no more, such as those killed by SIGKILL."""
    with contextlib.suppress(OSError):
        for name in os.listdir(base):
            pid = name.removeprefix(_PREFIX).partition("-")[0]
            if name.startswith(_PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                _remove_tree(f"{base}/{name}")


def _remove_tree(path: str) -> None:
    with contextlib.suppress(OSError):
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.rmdir(entry.path)
        os.rmdir(path)
