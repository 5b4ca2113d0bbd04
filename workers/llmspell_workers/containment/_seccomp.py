"""seccomp: two allow-lists, one over the other, each for every thread at once.

The zygote's is broad and answers EPERM; the worker's is loaded last, is as short as its engine
can live with, and kills, by way of the handler that names the call. Where both apply the kernel
takes the stricter verdict, and a trap is stricter than an error.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from . import _jail_filter, _trap
from ._bpf import CANARY, CANARY_ANSWER, ERRNO, assemble, compile_filter
from ._libc import syscall

if TYPE_CHECKING:
    from ._layers import Layers
    from ._plan import Plan
    from ._policy import SyscallPolicy
    from ._trap import TrapHandler

_SYS_SECCOMP: Final = 317
_SET_MODE_FILTER: Final = 1
_TSYNC: Final = 1
_INSTRUCTION_SIZE: Final = 8
_EPERM: Final = 1
_JAIL_ANSWER: Final = CANARY_ANSWER + 1
"""So that the worker's proof cannot be answered by the filter of the zygote."""
_REMEDY: Final = "use a kernel with CONFIG_SECCOMP_FILTER"


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class Filter(Struct, frozen=True):
    """A compiled list and what its traps lead to, as a `Plan` wants them."""

    program: bytes
    trap: TrapHandler | None


def prepare_filter(policy: SyscallPolicy, trap: TrapHandler | None, *, jit: bool) -> Filter:
    """Compile a worker's list. It names what it forbids if the handler is there to stay.

    Raises as `compile_filter` does.
    """
    if trap is not None and jit and not trap.sealed:
        trap = None  # who may make memory executable could put a handler of his own there
    return Filter(compile_filter(policy, trap=trap is not None), trap)


def apply(plan: Plan, layers: Layers) -> None:
    """Load the plan's program. From here on the worker can compute, read, write and end."""
    layers.attempt("seccomp", lambda: _lock(plan), _REMEDY)


def _lock(plan: Plan) -> str:
    if plan.trap is None:
        return f"{_load(plan.program, CANARY_ANSWER)}; a forbidden call is not named"
    _trap.install(plan.trap)  # as late as this, so that nothing that an engine starts replaces it
    kind = "a sealed" if plan.trap.sealed else "an unsealed"
    return f"{_load(plan.program, CANARY_ANSWER)}; a forbidden call is named, by {kind} handler"


def jail(layers: Layers) -> None:
    """The filter of the zygote, under which workers are forked and engines start."""
    layers.attempt("zygote_seccomp", _load_jail, _REMEDY)


def _load_jail() -> str:
    no = ERRNO | _EPERM
    return _load(assemble(_jail_filter.policy(), no, no, _JAIL_ANSWER), _JAIL_ANSWER)


def _load(program: bytes, answer: int) -> str:
    length = len(program) // _INSTRUCTION_SIZE
    loaded = syscall(
        _SYS_SECCOMP, _SET_MODE_FILTER, _TSYNC, _Program(length, program), what="seccomp"
    )
    if loaded:  # the id of a thread that could not be brought under the same filter
        raise OSError(0, f"thread {loaded} could not be brought under the filter")
    prove(answer)
    return f"allow-list on every thread, {length} instructions"


def prove(answer: int = CANARY_ANSWER) -> None:
    """Raise `OSError` unless our own filter answers; by default, the worker's."""
    try:
        syscall(CANARY, what="canary")
    except OSError as error:
        if error.errno == answer:
            return
    raise OSError(0, "the filter does not answer")
