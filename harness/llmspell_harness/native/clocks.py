"""Against the clock: what would go on for ever if only the process itself could be asked to stop."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from .._attack import native
from . import _code
from ._raw import call, refusal, words
from ._walls import FILTERS, PROCESS

if TYPE_CHECKING:
    from typing import NoReturn

    from .._attack import Targets

_BRIEF: Final = {"timeout": 0.3}
_BURST: Final = {"timeout": 5.0, "cpu": 0.3}
_ENDLESS: Final = "without the clock it would not end"
_EVERY_SIGNAL: Final = words((1 << 64) - 1)
_RESTORER: Final = 0x0400_0000
_NODEFER: Final = 0x4000_0000


def _spin() -> NoReturn:
    while True:
        pass


@native(
    "O34",
    "block every signal, then compute",
    walls=("seccomp",),
    ends_by="wall_limit",
    holds=("wall_limit",),
    policy=_BRIEF,
    uncontrolled=_ENDLESS,
)
def block_all(targets: Targets) -> str:
    del targets
    call("rt_sigprocmask", signal.SIG_SETMASK, _EVERY_SIGNAL, 0, 8)
    _spin()


@native(
    "O34",
    "ignore the signal of the processor limit, then compute",
    walls=("seccomp",),
    ends_by="cpu_limit",
    holds=("cpu_limit", "wall_limit"),
    policy=_BURST,
    uncontrolled=_ENDLESS,
)
def ignore_limit(targets: Targets) -> str:
    del targets
    call("rt_sigaction", signal.SIGXCPU, words(1, _RESTORER, 0, 0), 0, 8)
    _spin()


@native(
    "O34",
    "catch a fault for ever",
    walls=("seccomp",),
    ends_by="wall_limit",
    holds=("wall_limit", "cpu_limit", "engine_crash"),
    policy=_BRIEF,
    uncontrolled=_ENDLESS,
)
def fault_loop(targets: Targets) -> str:
    del targets
    # A handler where nothing can be run faults again, and again.
    call("rt_sigaction", signal.SIGSEGV, words(8, _RESTORER | _NODEFER, 8, 0), 0, 8)
    _spin()


@native(
    "O34",
    "stop itself, and with it the processor's clock",
    walls=FILTERS,
    ends_by="wall_limit",
    holds=("wall_limit",),
    policy=_BRIEF,
    uncontrolled=_ENDLESS,
)
def stop_itself(targets: Targets) -> str:
    del targets
    me = call("getpid")
    call("tgkill", me, me, signal.SIGSTOP)
    _spin()


@native(
    "O35",
    "wait, where no signal but the last is heard, for a process that waits for ever",
    walls=(*PROCESS, "zygote_seccomp"),
    ends_by="wall_limit",
    holds=("wall_limit",),
    policy=_BRIEF,
    uncontrolled=_ENDLESS,
)
def vfork_hold(targets: Targets) -> str:
    del targets
    raise refusal(-_code.run("vfork and wait"))


@native(
    "O35",
    "stop before its tracer, the zygote",
    walls=FILTERS,
    ends_by="wall_limit",
    holds=("wall_limit",),
    policy=_BRIEF,
    uncontrolled=_ENDLESS,
)
def trace_stop(targets: Targets) -> str:
    del targets
    call("ptrace", 0, 0, 0, 0)
    me = call("getpid")
    call("tgkill", me, me, signal.SIGSTOP)
    _spin()
