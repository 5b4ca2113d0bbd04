"""Resource limits: hard, read back, in two turns because an engine's start needs threads."""

from __future__ import annotations

import math
import resource
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._layers import Layers
    from ._plan import Plan

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_RLIMIT_LOCKS: Final = 10  # not in the resource module; kept at 0 for kernels that honour it

_NOTHING: Final = (
    resource.RLIMIT_CORE,  # no memory image for a crash handler
    resource.RLIMIT_FSIZE,  # no byte into any file
    resource.RLIMIT_MEMLOCK,  # no locked memory
    resource.RLIMIT_MSGQUEUE,  # no message queue
    resource.RLIMIT_NICE,
    resource.RLIMIT_RTPRIO,
    resource.RLIMIT_SIGPENDING,  # no queued signal and, with it, no POSIX timer
    _RLIMIT_LOCKS,
)
"""What neither zygote nor worker ever needs."""
ZYGOTE_FILES: Final = 4096
"""Descriptors of a zygote: a control socket, and three per worker while it starts."""
ZYGOTE_PROCESSES: Final = 4096
"""Workers and their engine's threads alive at once; a pool has far fewer."""
STARTING_FILES: Final = 64
"""Descriptors while an engine starts; an event loop takes three."""
STACK: Final = 8 * _MIB
"""The usual stack of a main thread; deep recursion must end in the engine's own error."""
CPU_GRACE: Final = 1
"""Seconds between SIGXCPU and SIGKILL, so that the exit status names the limit."""


def jail(layers: Layers) -> None:
    """What the zygote itself can bear; its workers inherit it and go lower."""
    wanted = dict.fromkeys(_NOTHING, (0, 0))
    wanted[resource.RLIMIT_NOFILE] = (ZYGOTE_FILES, ZYGOTE_FILES)
    wanted[resource.RLIMIT_NPROC] = (ZYGOTE_PROCESSES, ZYGOTE_PROCESSES)
    layers.require("zygote_limits", lambda: _set(wanted))


def apply(plan: Plan, layers: Layers) -> None:
    """The worker's limits that an engine's start can live with."""
    layers.require("rlimits", lambda: _set(_starting(plan)))


def close(plan: Plan, layers: Layers) -> None:
    """After the engine's start: no thread, no process, no descriptor is ever added.

    A NOFILE of 0 leaves open descriptors usable and refuses every call that would make one.
    """
    wanted = _starting(plan)  # once more, so that what the engine's start may have raised is seen
    wanted[resource.RLIMIT_NOFILE] = (0, 0)
    wanted[resource.RLIMIT_NPROC] = (0, 0)
    layers.require("rlimits_closed", lambda: _set(wanted))


def _starting(plan: Plan) -> dict[int, tuple[int, int]]:
    cpu = math.ceil(plan.cpu)
    wanted = dict.fromkeys(_NOTHING, (0, 0))
    wanted[resource.RLIMIT_DATA] = (plan.memory, plan.memory)
    wanted[resource.RLIMIT_CPU] = (cpu, cpu + CPU_GRACE)
    wanted[resource.RLIMIT_STACK] = (STACK, STACK)
    wanted[resource.RLIMIT_NOFILE] = (STARTING_FILES, STARTING_FILES)
    if plan.address_space is not None:
        wanted[resource.RLIMIT_AS] = (plan.address_space, plan.address_space)
    return wanted


def _set(wanted: dict[int, tuple[int, int]]) -> str:
    # prlimit and not setrlimit: it also takes the numbers that Python has no name for.
    for limit, (soft, hard) in wanted.items():
        present = resource.prlimit(0, limit)
        allowed = _at_most(present[1], hard)
        lower = (_at_most(allowed, soft), allowed)
        if present != lower:  # what the zygote has set is inherited
            resource.prlimit(0, limit, lower)
    _read_back(wanted)
    return f"{len(wanted)} limits, read back"


def _at_most(present: int, wanted: int) -> int:
    """The lower of the two: whoever started us may have set less already."""
    return wanted if present == resource.RLIM_INFINITY else min(present, wanted)


def _read_back(wanted: dict[int, tuple[int, int]]) -> None:
    for limit, (soft, hard) in wanted.items():
        now = resource.prlimit(0, limit)
        if _above(now[0], soft) or _above(now[1], hard):
            raise OSError(0, f"resource limit {limit} reads back as {now}, not {(soft, hard)}")


def _above(found: int, wanted: int) -> bool:
    return found == resource.RLIM_INFINITY or found > wanted
