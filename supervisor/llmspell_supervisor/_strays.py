"""Processes that a worker leaves behind.

Three walls keep it from making any. If they fell, what it made dies with it, and other workers of
the same zygote live on.

What loses its parent in a pid namespace becomes a child of pid 1, the zygote (pid_namespaces(7)),
whatever session, group or name it gave itself. So the zygote's children that are no workers are
strays, and can be seen from here, at the host's /proc. Where that cannot be read, only a control
group or the end of the zygote ends them.
"""

from __future__ import annotations

import contextlib
import os
import signal

from ._small_file import read_small


def first_process(outer: int) -> int | None:
    """Pid 1 of the namespace that the process `outer` has made, as the host numbers it."""
    found = children(outer)
    return found[0] if len(found) == 1 else None


def children(pid: int, thread: int | None = None) -> list[int]:
    """The children of one thread of a process, by default the first; none where they are hidden.

    Raises `OSError` when it is not the host that hides them.
    """
    # Without CONFIG_PROC_CHILDREN, or with hidepid, there is no such file.
    hidden = (FileNotFoundError, PermissionError, ProcessLookupError)
    with contextlib.suppress(*hidden):
        return list(map(int, read_small(f"/proc/{pid}/task/{thread or pid}/children").split()))
    return []


def kill(parent: int, pids: set[int]) -> list[int]:
    """Kill those that are children of `parent` still. Their pidfds, which the caller closes."""
    opened = {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended by itself
            opened[pid] = os.pidfd_open(pid)
    # Only now: what has the number at this moment is what the pidfd names.
    present = set(children(parent))
    for pid, pidfd in opened.items():
        if pid in present:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pid in opened.keys() - present:
        os.close(opened.pop(pid))
    return list(opened.values())
