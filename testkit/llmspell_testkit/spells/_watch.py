"""Which changes of files are worth another run of the tests."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from typing import Final

from llmspell_supervisor import UsageError

from ._trial import shown_path

SUFFIXES: Final = (".lua", ".js", ".mjs", ".toml", ".json")

DEBOUNCE: Final = 200
"""Milliseconds in which changes count as one: an editor writes a file in several steps."""


class Watch:
    """Changes of files, from the moment that it is made."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Watch what `paths` name, and the folders of those that are files.

        Raises `UsageError` where the library for it is not installed.
        """
        try:
            import watchfiles
        except ImportError:
            raise UsageError(
                "--watch: watchfiles is not installed", "pip install 'llmspell-supervisor[testkit]'"
            ) from None

        def wanted(_: watchfiles.Change, path: str) -> bool:
            return path.endswith(SUFFIXES)

        found = {p if os.path.isdir(p) else os.path.dirname(p) or os.curdir for p in paths}
        folders = sorted(map(os.path.abspath, found))
        self._found: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

        def listen() -> None:
            # From another thread: what changes while the tests run is not missed.
            for changes in watchfiles.watch(*folders, watch_filter=wanted, debounce=DEBOUNCE):
                self._found.put(sorted({shown_path(path) for _, path in changes}))

        threading.Thread(target=listen, name="watch", daemon=True).start()

    def next(self) -> list[str]:
        """Wait for files to change; which did."""
        return self._found.get()
