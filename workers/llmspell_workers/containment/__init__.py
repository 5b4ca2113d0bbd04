"""What holds a worker: one module per mechanism of the kernel, and the checklist over them."""

from ._bpf import compile_filter
from ._checklist import contain, detach, jail, self_test
from ._heap import prepare_heap
from ._layers import LayerMissing, Layers, LayerState
from ._plan import IN_FD, OUT_FD, Plan
from ._policy import (
    Check,
    SyscallPolicy,
    SyscallRule,
    at_most,
    clocks,
    denied,
    futex,
    is_int,
    is_long,
    only_bits,
    plain,
    prctl_option,
    private_memory,
    read_only_from,
    write_only_to,
)
from ._probe import probe
from ._seccomp import Filter, prepare_filter
from ._trap import TrapHandler, prepare_trap

__all__ = [
    "IN_FD",
    "OUT_FD",
    "Check",
    "Filter",
    "LayerMissing",
    "LayerState",
    "Layers",
    "Plan",
    "SyscallPolicy",
    "SyscallRule",
    "TrapHandler",
    "at_most",
    "clocks",
    "compile_filter",
    "contain",
    "denied",
    "detach",
    "futex",
    "is_int",
    "is_long",
    "jail",
    "only_bits",
    "plain",
    "prctl_option",
    "prepare_filter",
    "prepare_heap",
    "prepare_trap",
    "private_memory",
    "probe",
    "read_only_from",
    "self_test",
    "write_only_to",
]
