"""Signals: every disposition back to its default, nothing blocked, and death with the zygote.

The zygote does without handlers, too, so that it sets the sixty dispositions once and every worker
inherits them.
"""

from __future__ import annotations

import ctypes
import signal
from typing import TYPE_CHECKING, Final

from ._libc import default_signal, prctl, syscall

if TYPE_CHECKING:
    from ._layers import Layers

_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_FIXED: Final = {signal.SIGKILL, signal.SIGSTOP}
_SETTABLE: Final = tuple(int(s) for s in signal.valid_signals() - _FIXED)
_OF_GLIBC: Final = (32, 33)
"""SIGCANCEL and SIGSETXID, which signal(2) of glibc leaves to glibc. Whoever started the supervisor
may have them ignored, and that is inherited."""
_RT_SIGACTION: Final = 13
_DEFAULT: Final = bytes(32)
"""The kernel's struct sigaction: SIG_DFL, no flags, no restorer, an empty mask."""
_MASK_SIZE: Final = 8


def jail(layers: Layers) -> None:
    """Undo what Python and whoever started us set. A write to a closed pipe now ends the process."""
    layers.require("zygote_signals", _reset)


def _reset() -> str:
    signal.set_wakeup_fd(-1)
    for number in _SETTABLE:
        default_signal(number)
    for number in _OF_GLIBC:
        syscall(_RT_SIGACTION, number, _DEFAULT, None, _MASK_SIZE, what=f"signal {number}")
    return "default dispositions"


def apply(layers: Layers) -> None:
    """What no fork inherits, and the mask."""
    layers.require("signals", _unblock)


def _unblock() -> str:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent()
    return "empty mask, killed with the zygote"


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent dies. A later change of credentials clears it: prctl(2)."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, what="parent-death signal")
    asked = ctypes.c_int()
    prctl(_PR_GET_PDEATHSIG, ctypes.addressof(asked), what="parent-death signal")
    if asked.value != signal.SIGKILL:
        raise OSError(0, "the parent-death signal is not set")
