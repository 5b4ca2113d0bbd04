"""The status line: what a run is doing, on a terminal, once it has been silent for a second."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from .._text import escape_line, truncate

if TYPE_CHECKING:
    from rich.status import Status

_SILENCE: Final = 1.0
"""Seconds without output before the line appears; most runs end sooner."""
_TICK: Final = 1.0
"""Seconds between updates of the time that it shows."""
_WIDTH: Final = 60
"""Characters of the activity that are shown: the line must not wrap."""


def wanted(*, quiet: bool) -> bool:
    """Whether there is a terminal to draw on."""
    return not quiet and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class StatusLine:
    """Shown and hidden on the event loop; hidden before anything else is written."""

    def __init__(self, name: str) -> None:
        self._name = escape_line(name)
        self._activity = ""
        self._began = time.monotonic()
        self._shown: Status | None = None
        self._timer: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """Hide the line, and show it after a second unless something is written before."""
        self.close()
        self._timer = asyncio.get_running_loop().call_later(_SILENCE, self._tick)

    def activity(self, text: str) -> None:
        """What the run is doing now, such as `llm.complete`; empty when the spell computes."""
        self._activity = truncate(escape_line(text), _WIDTH)

    def close(self) -> None:
        """Hide the line for good, or until it is armed again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shown is not None:
            self._shown.stop()
            self._shown = None

    def _tick(self) -> None:
        from rich.markup import escape as plain

        text = plain(self._text())
        if self._shown is None:
            self._shown = _start(text)
        else:
            self._shown.update(text)
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _text(self) -> str:
        doing = self._activity or "running"
        return f"{truncate(self._name, _WIDTH)}: {doing} ({time.monotonic() - self._began:.0f} s)"


def _start(text: str) -> Status:
    from rich.console import Console  # 60 ms: only for runs that are slow anyway
    from rich.status import Status

    status = Status(text, console=Console(stderr=True))
    status.start()
    return status
