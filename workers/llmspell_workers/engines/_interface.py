"""What an engine is: a small declaration that the zygote and the worker drive in this order.

    zygote:  preload()             imports, dlopen; nothing that starts a thread
    fork
    worker:  start(options)        create the virtual machine; threads are allowed here
             ... the worker is locked ...
             self_test()           the engine's own check, inside the walls
             validate() or execute()   once, then the worker dies

An engine may also have `rehearse` and `recall`, by which a start of it makes once what all later ones
take over: `_rehearsal.Rehearsing`.

New engines come in by the entry-point group `llmspell.engines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from llmspell_protocol import ErrorInfo, FailureCause, Start

    from .._session import Session
    from ..containment import SyscallPolicy


_SPARE: Final = 1 << 20
"""Bytes that a process has whose memory has not run out."""


def is_exhausted() -> bool:
    """Whether memory has run out. Code in C that found none does not always say so, but fails otherwise."""
    try:
        bytes(_SPARE)
    except MemoryError:
        return True
    return False


class EngineOptions(Struct, frozen=True):
    """What the operator decided for this worker before it starts its engine."""

    heap: int
    """Bytes that the engine may allocate before its own out-of-memory error."""
    jit: bool = False
    """Granted: the engine may map executable memory. Engines without a JIT ignore it."""


class ScriptFailure(Exception):
    """The script ended badly; becomes the worker's `Failure` message."""

    def __init__(
        self,
        cause: FailureCause,
        error: ErrorInfo,
        *,
        line: int | None = None,
        column: int | None = None,
        stack: str | None = None,
    ) -> None:
        super().__init__(error.message)
        self.cause = cause
        self.error = error
        self.line = line
        self.column = column
        self.stack = stack


class ScriptEngine(Protocol):
    """One script language. An instance lives in one process and runs one script."""

    name: ClassVar[str]
    """Such as `lua`."""
    suffixes: ClassVar[tuple[str, ...]]
    """File suffixes, the dot included."""
    address_space: ClassVar[int | None]
    """Bytes of address space that a worker may have beyond its memory (RLIMIT_AS), or None for an
    engine that reserves more than it uses."""

    @property
    def version(self) -> str:
        """Language and implementation, such as `Lua 5.4.8 (lupa 2.8)`. Legal after `preload`."""

    def preload(self) -> None:
        """Load every file that `start` and a script will need: later there is none to open."""

    def syscalls(self, *, jit: bool) -> SyscallPolicy:
        """The system calls that a running script needs, each with its reason."""

    def start(self, options: EngineOptions) -> None:
        """Create the virtual machine. The last moment at which threads may start."""

    def self_test(self) -> None:
        """Run a program that must work, and look for names that must not exist.

        What a fork cannot change may be looked at once, in `preload`. Raises `RuntimeError` with the
        finding.
        """

    def validate(self, start: Start) -> None:
        """Parse without running. Raises `ScriptFailure` (cause `syntax`) with line and column."""

    def execute(self, start: Start, session: Session) -> bytes:
        """Run the script. Returns its value as msgpack; raises `ScriptFailure`."""
