"""What one worker is to be held to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from ._trap import TrapHandler

IN_FD: Final = 3
"""The descriptor that a locked worker reads from. Not 0 to 2: a stray print must not find it."""
OUT_FD: Final = 4
"""The descriptor that a locked worker writes to."""


class Plan(Struct, frozen=True, kw_only=True):
    """The limits and the filter of one worker. Sizes are bytes, times seconds."""

    reader: int
    """The pipe end to read from, as inherited; it becomes `IN_FD`."""
    writer: int
    """The pipe end to write to, as inherited; it becomes `OUT_FD`."""
    memory: int
    """Private writable memory in all, what the zygote already holds included (RLIMIT_DATA)."""
    cpu: float
    """Processor time; rounded up to whole seconds, as the kernel counts."""
    program: bytes
    """The compiled system-call filter, from `compile_filter`."""
    trap: TrapHandler | None = None
    """What the program's traps lead to; None for a program that kills at once."""
    address_space: int | None = None
    """Backstop for what RLIMIT_DATA does not count, such as shared mappings (RLIMIT_AS).

    None for an engine that reserves more address space than it uses.
    """
    jit: bool = False
    """Granted: the engine may make memory executable."""
    cgroups: tuple[int, ...] = ()
    """Open `cgroup.procs` descriptors of the groups to join."""
