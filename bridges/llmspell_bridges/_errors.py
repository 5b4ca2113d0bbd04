"""What a bridge method may raise, and how it reaches a script.

Exception
+-- BridgeError      the call failed; the script catches it, the run goes on
|   +-- ScriptError  ... because a function of the script's own did
+-- BudgetExceeded   the run has used up what it was given; the supervisor ends the run

Anything else that a method raises is a bug of the bridge: scripts see kind `Internal` and no text.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, Literal

from llmspell_protocol import ErrorInfo

if TYPE_CHECKING:
    from llmspell_protocol import ErrorKind

Limited = Literal["tokens", "cost", "calls"]

MAX_MESSAGE: Final = 500
"""Characters of an error message. Long enough for what providers explain in one sentence, short
enough that an upstream which echoes a request does not fill the script's log with it."""


class BridgeError(Exception):
    """A call failed in a way that the script may handle.

    `retry_after` and `duration` are seconds; `field` names the option that was wrong. The message
    is cut to one line of `MAX_MESSAGE` characters, whoever wrote it.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        field: str | None = None,
        duration: float | None = None,
    ) -> None:
        self.kind: ErrorKind = kind
        self.message: str = one_line(message)
        self.retryable: bool = retryable
        self.retry_after: float | None = retry_after
        self.field: str | None = field
        self.duration: float | None = duration
        super().__init__(f"{kind}: {self.message}")

    def info(self) -> ErrorInfo:
        """The error as it crosses the wall."""
        return ErrorInfo(
            kind=self.kind,
            message=self.message,
            retryable=self.retryable,
            retry_after=self.retry_after,
            field=self.field,
            duration=self.duration,
        )


class ScriptError(BridgeError):
    """A function of the script failed when a bridge called it.

    Its kind is `Script`, or that of the bridge's error that the function let through. Left alone,
    it goes back to the script as the error of the call that it had made.
    """

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(
            info.kind,
            info.message,
            retryable=info.retryable,
            retry_after=info.retry_after,
            field=None if info.field is None else one_line(info.field),
            duration=info.duration,
        )


class BudgetExceeded(Exception):
    """A run asked for more than it may still use. Ends the run; never handed to the script.

    `asked` and `left` are tokens, or US dollars when `what` is `cost`, or calls.
    """

    def __init__(self, what: Limited, *, asked: float, left: float) -> None:
        self.what: Limited = what
        self.asked: float = asked
        self.left: float = left
        super().__init__(f"{what}: asked for {asked:g}, {left:g} left")


def one_line(text: str) -> str:
    """`text` without control characters and line breaks, cut to `MAX_MESSAGE` characters."""
    head = text[: 4 * MAX_MESSAGE]  # bounds the work on a hostile text
    clean = "".join(" " if unicodedata.category(c) in _BREAKING else c for c in head)
    line = " ".join(clean.split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


_BREAKING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move a terminal's cursor, reorder text or cannot be encoded."""
