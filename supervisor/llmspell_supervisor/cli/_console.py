"""Where output goes: the one place of the command that writes.

On stdout there is only what the spell says (`console.log`, `info`, `write`, with `--verbose` also
`debug`, and last the value), or with `--json` one document. On stderr every line that the spell wrote begins
with its level in brackets, `[warn] ` or `[error] `, continuation lines too, and no line of ours
does: a spell cannot forge one. Unsafe characters are escaped on both, terminal or not.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from .._text import escape, escape_json, escape_line, prefix_lines
from ._arguments import PROGRAM

if TYPE_CHECKING:
    from .._report import LogEntry

_TO_STDERR: Final = ("warn", "error")


class Console:
    """Writes what a run says. Never raises for a stream that takes no more; `on_lost` is told."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False, json: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._json = json
        self.on_lost: Callable[[], None] = _nothing
        """Called once when stdout takes no more; from another thread inside `background`."""
        self.before_write: Callable[[bool], None] = _nothing_of_it
        """Called before anything is written, with whether it leaves a line of stdout open: clears
        the status line, which must not come back on such a line."""
        self._open_line = False
        self.lost: OSError | None = None
        """Why stdout takes no more: `BrokenPipeError` when its reader has gone."""
        self._queue: queue.SimpleQueue[tuple[IO[str], str] | None] | None = None

    @contextlib.contextmanager
    def background(self) -> Iterator[None]:
        """Write from a thread of its own until the end of the block, which waits for the rest.

        A reader that stalls (`| less`) would otherwise stop the event loop, and with it every
        clock that watches the worker. What waits is bounded by the run's `max_output`.
        """
        waiting: queue.SimpleQueue[tuple[IO[str], str] | None] = queue.SimpleQueue()
        self._queue = waiting
        writer = threading.Thread(target=self._drain, args=(waiting,), daemon=True)
        writer.start()
        try:
            yield
        finally:
            self._queue = None
            waiting.put(None)
            writer.join()

    def log(self, entry: LogEntry) -> None:
        """Show one console entry at once."""
        if entry.level == "debug" and not self._verbose:
            return
        if self._quiet and entry.level != "error":
            return
        if entry.suppressed:  # ours: without brackets, so that no spell can have written it
            self.err(f"{PROGRAM}: note: {escape_line(entry.text)}")
            return
        if self._json or entry.level in _TO_STDERR:
            self.err(prefix_lines(entry.text, f"[{entry.level}] "))
        elif entry.level == "write":
            if entry.text:
                self._write(sys.stdout, escape(entry.text), end="")
        else:
            self.out(escape(entry.text))

    def end_line(self) -> None:
        """End the line that `console.write` has left open, if it has."""
        if self._open_line:
            self.out("")

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

    def piece(self, text: str) -> None:
        """Part of a line on stdout, which is safe to show already."""
        self._write(sys.stdout, text, end="")

    def err(self, line: str) -> None:
        """One line on stderr, which is safe to show already."""
        if sys.stdout.isatty():  # where both are one screen
            self.end_line()
        self._write(sys.stderr, line)

    def _write(self, stream: IO[str], text: str, *, end: str = "\n") -> None:
        if stream is sys.stdout:
            self._open_line = not (text + end).endswith("\n")
        self.before_write(self._open_line)
        if self._queue is not None:
            self._queue.put((stream, text + end))
        else:
            self._write_now(stream, text + end)

    def _drain(self, waiting: queue.SimpleQueue[tuple[IO[str], str] | None]) -> None:
        while (item := waiting.get()) is not None:
            self._write_now(*item)

    def _write_now(self, stream: IO[str], text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except OSError as error:  # the reader has gone, the disk is full
            _to_nowhere(stream)
            if stream is sys.stdout and self.lost is None:
                self.lost = error
                self.on_lost()


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


def _nothing_of_it(_: bool) -> None:
    """The default of a hook that is told something."""
