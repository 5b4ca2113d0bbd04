"""Looks for processes of ours that outlived the test that started them."""

from __future__ import annotations

import os
import re
import select
import time
from pathlib import Path
from typing import NamedTuple

PATIENCE = 5.0
"""Seconds for the last ones to go: a killed zygote takes milliseconds, a busy machine adds some."""

_OURS = re.compile(r"\bllmspell[_-](workers|supervisor|bridges)\b|multiprocessing\.spawn")


class _Process(NamedTuple):
    pid: int
    parent: int
    started: int
    command: str


class Leftovers:
    """Remembers when it was made; later finds what was started since and is still there."""

    def __init__(self) -> None:
        own = _read(os.getpid())
        assert own is not None
        self._since = own.started

    def wait(self) -> list[str]:
        """Wait until nothing is left, or describe what is."""
        deadline = time.monotonic() + PATIENCE
        while found := self._find():
            left = deadline - time.monotonic()
            if left <= 0 or not _wait_for_exit(found[0].pid, left):
                return [f"{p.pid}: {p.command[:200]}" for p in found]
        return []

    def _find(self) -> list[_Process]:
        every = {p.pid: p for p in _processes()}
        return [p for p in every.values() if self._is_ours(p) and _is_adrift(p, every)]

    def _is_ours(self, process: _Process) -> bool:
        return process.started >= self._since and bool(_OURS.search(process.command))


def _is_adrift(process: _Process, every: dict[int, _Process]) -> bool:
    """Below this very suite, or below nobody. What other people's shells run is not our affair."""
    parent = every.get(process.parent)
    while parent is not None and parent.pid not in (1, os.getpid()):
        if not _OURS.search(parent.command) and not _is_below(parent, os.getpid(), every):
            return False
        parent = every.get(parent.parent)
    return True


def _is_below(process: _Process, ancestor: int, every: dict[int, _Process]) -> bool:
    pid = process.pid
    while pid in every and pid != ancestor:
        pid = every[pid].parent
    return pid == ancestor


def _wait_for_exit(pid: int, seconds: float) -> bool:
    """Wait on the process itself. A zombie of ours counts as gone once it is reaped here."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _processes() -> list[_Process]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [found for pid in pids if (found := _read(pid))]


def _read(pid: int) -> _Process | None:
    """None for what is gone, or dead and unreaped: a zombie has no command line."""
    try:
        command = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # proc_pid_stat(5), counted from the field after the name: 1 parent, 19 start time.
    return _Process(pid, int(fields[1]), int(fields[19]), command) if command else None
