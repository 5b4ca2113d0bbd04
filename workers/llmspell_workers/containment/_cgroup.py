"""Control groups, the worker's side: step into the groups that the supervisor opened for it.

The supervisor's side (make, limit, kill, remove) is its own. What it needs to know:

- Version 2 is one tree, mounted at /sys/fs/cgroup (file system type cgroup2), on hybrid hosts at
  /sys/fs/cgroup/unified with its controllers taken by version 1. A process finds its place in the
  line `0::/path` of /proc/self/cgroup. A group of ours can be made below a directory that we may
  write and whose `cgroup.controllers` names `memory` and `pids`; the parent must hold no process
  itself and name them in `cgroup.subtree_control`. systemd delegates such a tree by
  `systemd-run --user --scope -p Delegate=yes`. Limits: `memory.max`, `memory.swap.max` 0,
  `memory.oom.group` 1, `pids.max`; events: `memory.events`, `memory.peak`; end: `cgroup.kill` 1.
- Version 1 is one tree per controller, at /sys/fs/cgroup/memory and /sys/fs/cgroup/pids (lines
  `N:memory:/path`). Limits: `memory.limit_in_bytes`, then `memory.memsw.limit_in_bytes` where
  swap is counted; `pids.max`. Peak: `memory.max_usage_in_bytes`; failures: `memory.failcnt`,
  `memory.oom_control`. There is no kill file.
- The right to move a process is that of whoever *opened* `cgroup.procs` (or version 1's `tasks`,
  which moves one thread and is quicker), so a worker without any right can move itself by a
  descriptor that it was handed. `0` is the writer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._layers import Layers
    from ._plan import Plan


def apply(plan: Plan, layers: Layers) -> None:
    """Join every group of the plan. The descriptors are closed with all the others."""
    if not plan.cgroups:
        layers.absent(
            "cgroup", "none delegated", "run under systemd-run --user --scope -p Delegate=yes"
        )
        return
    layers.attempt("cgroup", lambda: _join(plan.cgroups))


def _join(descriptors: tuple[int, ...]) -> str:
    for fd in descriptors:
        os.write(fd, b"0")
    return f"joined {len(descriptors)}"
