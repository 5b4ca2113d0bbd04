"""A place for one test: a folder, variables, and what is to be undone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from llmspell_supervisor import Spell

_OURS = ("LLMSPELL_", "OPENAI_", "ANTHROPIC_", "LITELLM_", "XDG_")
"""Prefixes of variables that a developer may have set and a test must not depend on."""


class Environment:
    """A folder that is `HOME`, and no key of the developer's; as it was, after the block.

    with Environment() as environment:
        spell = environment.spell("hello.lua", "return 1")
        environment.set("WEATHER_TOKEN", "t")
        environment.at_the_end(server.close)
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._before: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="llmspell-test-"))
        """Its own, and empty at the beginning."""
        self._before = dict(os.environ)
        self._stack.callback(shutil.rmtree, self.folder)
        self._stack.callback(self._restore)
        for name in tuple(os.environ):
            if name.startswith(_OURS):
                del os.environ[name]
        os.environ["HOME"] = str(self.folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Undo all of it, the last first, also when some of it fails."""
        self._stack.__exit__(kind, error, trace)

    def _restore(self) -> None:
        os.environ.clear()
        os.environ.update(self._before)

    def set(self, name: str, value: str) -> None:
        """Set a variable of this process until the end of the block."""
        os.environ[name] = value

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file below the folder, and the folders above it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def spell(self, name: str, source: str) -> Spell:
        """A spell in a file below the folder, read back. Raises `SpellError` as `Spell.from_path`."""
        return Spell.from_path(self.file(name, source))

    def at_the_end(self, undo: Callable[[], object]) -> None:
        """Call `undo` when the block is over, before what was begun earlier is undone."""
        self._stack.callback(undo)
