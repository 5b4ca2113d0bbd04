"""The audit checklist: what happens to a zygote and to each worker, in this order.

Every line is one mechanism of the kernel. Each applies itself, reads back or tries out what it
did, and ends the process's chances when it finds less: strict runs raise `LayerMissing`.
Nothing here imports or opens a file after `jail`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from . import (
    _cgroup,
    _fds,
    _host,
    _identity,
    _landlock,
    _memory,
    _namespaces,
    _rlimits,
    _root,
    _seccomp,
    _session,
    _signals,
)
from ._layers import LayerMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._layers import Layers
    from ._plan import Plan

_UMASK: Final = 0o077


def detach(layers: Layers) -> None:
    """The zygote, step 1: leave the host's user and namespaces. The caller forks afterwards.

    Needs a single thread and a mounted /proc. The fork is pid 1 of the new pid namespace; the
    caller only waits for it, and the death of either ends it and every worker.
    """
    parent = os.getppid()
    _identity.leave_root(layers)
    _namespaces.enter(layers)
    _die_with_parent()
    if os.getppid() != parent:  # it died before we asked to be told
        raise LayerMissing("parent_death", "the supervisor has gone")


def jail(layers: Layers) -> None:
    """The zygote, step 2, in pid 1: lose the file system, every right and every way back.

    Call it when everything is imported, `dlopen`ed and compiled: there is no file afterwards.
    """
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.umask(_UMASK)
    _host.apply(layers, proc)
    _session.apply(layers)
    _signals.jail(layers)
    _namespaces.prove_no_network(layers)
    _root.apply(layers)
    _namespaces.enter_inner(layers, proc)
    os.close(proc)
    _rlimits.jail(layers)
    _identity.drop(layers)
    _identity.hide(layers)
    _die_with_parent()
    _seccomp.jail(layers)


def _die_with_parent() -> None:
    try:
        _signals.die_with_parent()
    except OSError as error:
        raise LayerMissing("parent_death", error.strerror or str(error)) from None


def contain(plan: Plan, layers: Layers, start_engine: Callable[[], object]) -> None:
    """One worker, right after the fork: everything that holds it, in order, then the lock.

    `start_engine` is called at its place in the list: threads may still start, descriptors and
    files are gone. When this returns the worker can compute, read `IN_FD`, write `OUT_FD`, end.
    Raises `LayerMissing`, or whatever `start_engine` raises.
    """
    _cgroup.apply(plan, layers)
    _fds.apply(plan, layers)
    _signals.apply(layers)
    _rlimits.apply(plan, layers)
    _memory.apply(plan, layers)
    _landlock.apply(layers)
    start_engine()
    _fds.prove(layers)
    _rlimits.close(plan, layers)
    _identity.prove(layers)
    _seccomp.apply(plan, layers)


def self_test(layers: Layers) -> None:
    """In the locked worker, before any byte of a script: whether the lock answers.

    Raises `LayerMissing` with the layer's name.
    """
    if layers.has("seccomp"):
        try:
            _seccomp.prove()
        except OSError as error:
            raise LayerMissing("seccomp", error.strerror or str(error)) from None
