"""Errors that a person made or can mend, before or around a run.

SupervisorError
+-- SpellError       the spell cannot be read: missing, not a file, not text, too large
+-- ConfigError      a config file, manifest or parameter file is wrong; names file, line and key
+-- PolicyError      something was asked for that the operator's policy does not give
+-- IsolationError   the host refuses a layer of containment
+-- UsageError       a flag or argument is wrong
+-- Busy             too many runs at once, and the queue is full (`_admission`)
+-- AuditError       the audit log cannot be written, or is not whole

Every message is one line that names the thing; `hint` says what to do about it. What goes wrong
inside a spell is no exception: it is the verdict of a `RunReport`.
"""

from __future__ import annotations


class SupervisorError(Exception):
    """Base of all errors of the supervisor. `hint` is the remedy, empty when there is none."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SpellError(SupervisorError):
    """The spell cannot be read, or no engine runs it."""


class ConfigError(SupervisorError):
    """A file of settings is wrong. `key` is dotted (`profiles.ci.memory`), `line` counts from 1."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (file, line) if part is not None)
        text = ": ".join(part for part in (place, key, message) if part)
        super().__init__(text, hint)
        self.file = file
        self.line = line
        self.key = key


class PolicyError(SupervisorError):
    """A layer asks for what the layers above it do not give. Nothing was run."""


class IsolationError(SupervisorError):
    """The host refuses layer `layer` of containment, for `reason`; `remedy` says how to get it."""

    def __init__(self, layer: str, reason: str, remedy: str = "") -> None:
        super().__init__(f"isolation layer '{layer}' is not available: {reason}", remedy)
        self.layer = layer
        self.reason = reason
        self.remedy = remedy


class UsageError(SupervisorError):
    """A flag, an argument or a parameter is wrong. Nothing was run."""


class AuditError(SupervisorError):
    """The audit log cannot be written, and so nothing is done; or it is not as it was written."""
