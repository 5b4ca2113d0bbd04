"""Memory that was writable never becomes executable (PR_SET_MDWE, kernel 6.3 on)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from ._libc import prctl

if TYPE_CHECKING:
    from ._layers import Layers
    from ._plan import Plan

_PR_SET_MDWE: Final = 65
_PR_GET_MDWE: Final = 66
_REFUSE_EXEC_GAIN: Final = 1


def apply(plan: Plan, layers: Layers) -> None:
    """For good, unless the operator granted a JIT. The filter forbids the same once more."""
    if plan.jit:
        layers.absent("write_xor_execute", "a JIT is granted")
        return
    layers.attempt(
        "write_xor_execute", _refuse, "use a kernel from 6.3 on", optional=not _is_known()
    )


def _is_known() -> bool:
    """Whether this kernel has it. Any other error than this one is no reason to do without."""
    try:
        prctl(_PR_GET_MDWE, what="memory-deny-write-execute")
    except OSError as error:
        return error.errno != errno.EINVAL
    return True


def _refuse() -> str:
    prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN, what="memory-deny-write-execute")
    if prctl(_PR_GET_MDWE, what="memory-deny-write-execute") != _REFUSE_EXEC_GAIN:
        raise OSError(0, "memory-deny-write-execute is not set")
    return "set, read back"
