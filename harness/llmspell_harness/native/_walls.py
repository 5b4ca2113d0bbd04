"""Which layers stop what, by the way that an attack takes; each of them does so alone.

Attacks that share a list share the zygotes of the trials that prove it.
"""

from __future__ import annotations

import os
from typing import Final


def against_root(*layers: str) -> tuple[str, ...]:
    """Layers that take something only from the host's root: an ordinary user has none of it."""
    return layers if os.geteuid() == 0 else ()


FILTERS: Final = ("seccomp", "zygote_seccomp")
"""Every call that neither list has. Two filters, one over the other: compiled from two lists, with
two answers, loaded by two processes."""
DESCRIPTOR: Final = (*FILTERS, "rlimits_closed")
"""What would be a new descriptor: there is no room for one."""
PATH: Final = (*FILTERS, "root")
"""What looks at a path and needs no right to the file: Landlock does not ask then."""
CHANGE: Final = (*PATH, "landlock")
"""What changes a folder."""
OPEN: Final = (*CHANGE, "rlimits_closed")
"""What opens a file."""
PROCESS: Final = ("seccomp", "rlimits_closed")
"""What adds a process or a thread: zygotes must fork, so their filter allows it."""
SIGNAL: Final = (*FILTERS, "landlock", "pid_namespace", *against_root("uid"))
"""What reaches a process of the host by its number."""
SIBLING: Final = (*FILTERS, "landlock")
"""What signals another worker of the same zygote."""
SIBLING_MEMORY: Final = (*FILTERS, "landlock", "dumpable")
"""What looks into another worker of the same zygote, or into the zygote."""
MEMORY: Final = (*FILTERS, "landlock", "user_namespace", *against_root("uid", "capabilities"))
"""What looks into a process of the host: its user namespace is not ours. That layer carries the
namespace of processes, which therefore cannot stand alone here."""
HOST_RIGHTS: Final = (*FILTERS, "capabilities", "user_namespace", *against_root("uid"))
"""What takes a capability over the whole host."""
OWN_RIGHTS: Final = (*FILTERS, "capabilities", "inner_user_namespace")
"""What takes a capability over one's own namespaces: the inner one owns none of them."""
MOUNT: Final = (*OWN_RIGHTS, "landlock")
"""What changes the tree of mounts."""
LIMITS: Final = ("rlimits", "zygote_limits")
"""What fills files, locks memory or dumps it: limits of 0, set three times over (`rlimits_closed`
is the third, and sets them all once more)."""

_PROC: Final = "/proc/self/status"


def lacking(capability: int) -> str:
    """Why root here could not do it either: in a container it is root of little."""
    with open(_PROC) as file:
        held = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    missing = os.geteuid() == 0 and not held >> capability & 1
    return f"root has no capability {capability} here" if missing else ""
