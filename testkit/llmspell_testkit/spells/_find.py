"""Which files hold tests, and which spells they may name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

from llmspell_supervisor import UsageError
from llmspell_supervisor._text import escape_line

SUFFIXES: Final = (".test.lua", ".test.js", ".test.mjs", ".test.toml")


def find(paths: Sequence[str]) -> list[str]:
    """Absolute paths of the test files that `paths` name or hold, each once.

    Raises `UsageError` for a path that there is not, that is no test, or that holds none.
    """
    found: dict[str, None] = {}
    for path in paths:
        here = list(_under(path))
        if not here:
            raise UsageError(f"{escape_line(path)} holds no tests", f"they end in {_suffixes()}")
        found.update((os.path.abspath(each), None) for each in here)
    return list(found)


def _under(path: str) -> Iterable[str]:
    if not os.path.isdir(path):
        if not os.path.lexists(path):
            raise UsageError(f"there is no {escape_line(path)}")
        if not path.endswith(SUFFIXES):
            raise UsageError(f"{escape_line(path)} is no test", f"tests end in {_suffixes()}")
        yield path
        return
    for folder, inside, names in os.walk(path):
        inside[:] = sorted(n for n in inside if not n.startswith(".") and n != "node_modules")
        yield from (os.path.join(folder, n) for n in sorted(names) if n.endswith(SUFFIXES))


def _suffixes() -> str:
    return ", ".join(SUFFIXES)


class Reach:
    """The folders in which tests may name spells: those that were named, and the current one."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._roots = {os.path.realpath(p) for p in paths if os.path.isdir(p)}
        self._roots.add(os.path.realpath(os.curdir))

    def locate(self, tests: str, name: str) -> str:
        """The spell that the file `tests` calls `name`. Raises `UsageError`."""
        path = os.path.realpath(os.path.join(os.path.dirname(tests), name))
        if not any(os.path.commonpath((root, path)) == root for root in self._roots):
            raise UsageError(
                f"{escape_line(name)} is outside the folders that are tested",
                "run the command in a folder above it",
            )
        return path
