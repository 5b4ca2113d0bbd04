"""Where output goes: the one place of the command that writes.

On stdout there is only what the spell says (`console.log`, `info`, with `--verbose` also `debug`,
and last the value), or with `--json` one document. On stderr every line that the spell wrote begins
with its level in brackets, `[warn] ` or `[error] `, continuation lines too, and no line of ours
does: a spell cannot forge one. Unsafe characters are escaped on both, terminal or not.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from .._text import escape, escape_json, prefix_lines

if TYPE_CHECKING:
    from .._report import LogEntry

_TO_STDERR: Final = ("warn", "error")


class Console:
    """Writes what a run says. Never raises for a reader that has gone; `on_broken` is told."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False, json: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._json = json
        self.on_broken: Callable[[], None] = _nothing
        """Called once when nobody reads stdout any more."""
        self.before_write: Callable[[], None] = _nothing
        """Called before anything is written: clears the status line."""
        self.broken = False

    def log(self, entry: LogEntry) -> None:
        """Show one console entry at once."""
        if entry.level == "debug" and not self._verbose:
            return
        if self._quiet and entry.level != "error":
            return
        if self._json or entry.level in _TO_STDERR:
            self.err(prefix_lines(entry.text, f"[{entry.level}] "))
        else:
            self.out(escape(entry.text))

    def value(self, value: Any) -> None:
        """Show what the spell returned: a string as it is, null not at all, else JSON."""
        if isinstance(value, str):
            self.out(escape(value))
        elif value is not None:
            self.document(value)

    def document(self, value: Any) -> None:
        """Write JSON to stdout, indented; bytes as base64."""
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        self.out(escape_json(text))

    def out(self, line: str) -> None:
        """One line on stdout, which is safe to show already."""
        self._write(sys.stdout, line)

    def err(self, line: str) -> None:
        """One line on stderr, which is safe to show already."""
        self._write(sys.stderr, line)

    def _write(self, stream: IO[str], line: str) -> None:
        self.before_write()
        try:
            stream.write(line + "\n")
            stream.flush()
        except BrokenPipeError:
            _to_nowhere(stream)
            if stream is sys.stdout and not self.broken:
                self.broken = True
                self.on_broken()


def prepare_streams() -> None:
    """Let no character that the terminal's encoding lacks end a run."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a test may put a plain buffer there
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _to_nowhere(stream: IO[str]) -> None:
    """The interpreter flushes at exit and would complain about the broken pipe once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _nothing() -> None:
    """The default of a hook."""
