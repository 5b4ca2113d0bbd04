"""The one error of whatever a script calls, in the worker or on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmspell_protocol import ErrorInfo


class HostError(Exception):
    """A call failed. Engines raise `info` in the script as an error that it can catch."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info.message)
        self.info = info
