"""What a run leaves: the verdict, the value, the logs, what it used and what held it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from llmspell_protocol import ErrorInfo, LogLevel

from ._policy import Policy
from ._verdict import EXIT_CODES, Verdict

if TYPE_CHECKING:
    from llmspell_bridges import Planned


class LogEntry(Struct, frozen=True, omit_defaults=True):
    """One console entry. `at` is seconds since the run began."""

    at: float
    level: LogLevel
    text: str
    suppressed: int = 0
    """Of an entry of the supervisor's own: how many of the spell's it stands for. No spell can set
    it."""


class SystemCall(Struct, frozen=True, kw_only=True):
    """The system call at which the kernel killed a worker, as the worker's last words name it.

    That it was killed for one is the kernel's word. Which one it was is its own: native code that
    took the worker over could have named another.
    """

    number: int
    """On x86-64."""
    name: str | None
    """None for a number that no known call has."""
    refused: Literal["call", "arguments"]
    """The call itself, or only what it was called with."""

    def __str__(self) -> str:
        return f"{self.name or 'unknown'} (system call {self.number})"


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong, for a person. Lines and columns count from 1."""

    message: str
    """What happened, with the limit and its value where one was passed."""
    hint: str = ""
    """What the user can change."""
    error: ErrorInfo | None = None
    line: int | None = None
    column: int | None = None
    stack: str | None = None
    system_call: SystemCall | None = None
    """Which one a worker was killed for, where it could still say so."""


class Usage(Struct, kw_only=True):
    """What the run used, as the host measured it. Seconds, bytes, US dollars."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_memory: int = 0
    output: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    """Calls by `bridge.method`, those that agents and workflows made on the host included."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    most_tokens: int = 0
    """The most that was used and reserved at a time: what the limit had to be, at least."""
    most_cost: float = 0.0


class RunReport(Struct, frozen=True, kw_only=True):
    """The outcome of one run. `value` is a `ScriptValue`, null unless the verdict is `ok`."""

    spell: str
    engine: str
    verdict: Verdict
    value: Any = None
    problem: Problem | None = None
    logs: tuple[LogEntry, ...] = ()
    usage: Usage
    policy: Policy
    dry_run: bool = False
    """Nothing was written, sent or spent."""
    planned: tuple[Planned, ...] = ()
    """What a dry run would have done, in order."""
    unlisted: int = 0
    """How many more effects there were than a report lists."""
    layers: dict[str, str] = field(default_factory=dict)
    """Containment layer to what it was: `on: ...` or `off: ...`."""

    @property
    def ok(self) -> bool:
        """Whether the spell ended well."""
        return self.verdict == "ok"

    @property
    def exit_code(self) -> int:
        """The exit code that the command gives for this verdict."""
        return EXIT_CODES[self.verdict]
