"""seccomp: the allow-list, loaded last, for every thread at once; whatever else is called kills."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from ._bpf import CANARY, CANARY_ANSWER
from ._libc import syscall

if TYPE_CHECKING:
    from ._layers import Layers
    from ._plan import Plan

_SYS_SECCOMP: Final = 317
_SET_MODE_FILTER: Final = 1
_TSYNC: Final = 1
_INSTRUCTION_SIZE: Final = 8
_REMEDY: Final = "use a kernel with CONFIG_SECCOMP_FILTER"


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def apply(plan: Plan, layers: Layers) -> None:
    """Load the plan's program. From here on the worker can compute, read, write and end."""
    layers.attempt("seccomp", lambda: _load(plan.program), _REMEDY)


def _load(program: bytes) -> str:
    length = len(program) // _INSTRUCTION_SIZE
    loaded = syscall(
        _SYS_SECCOMP, _SET_MODE_FILTER, _TSYNC, _Program(length, program), what="seccomp"
    )
    if loaded:  # the id of a thread that could not be brought under the same filter
        raise OSError(0, f"thread {loaded} could not be brought under the filter")
    prove()
    return f"allow-list on every thread, {length} instructions"


def prove() -> None:
    """Raise `OSError` unless our own filter answers."""
    try:
        syscall(CANARY, what="canary")
    except OSError as error:
        if error.errno == CANARY_ANSWER:
            return
    raise OSError(0, "the filter does not answer")
