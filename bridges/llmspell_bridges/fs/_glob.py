"""Patterns of paths: each directory is looked at once, whatever the pattern says."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import Final

from .._beneath import open_beneath
from .._errors import BridgeError
from ._files import scan
from ._quota import Quota
from ._roots import Place
from ._work import Fence

_MAGIC: Final = re.compile(r"[*?\[]")
_ANY_DEPTH: Final = "**"
MAX_DEPTH: Final = 64
"""Directories below the first; a descriptor is open for each. As deep as values may be nested."""
MAX_PATTERN: Final = 32
"""Names in the magic part of a pattern, all of which are tried on every entry."""


def split(pattern: str) -> tuple[str, list[str]]:
    """The part of a pattern that is a plain path, and the names after it."""
    names = pattern.split("/")
    first = next((i for i, name in enumerate(names) if _MAGIC.search(name)), len(names) - 1)
    base = "/".join(names[:first]) or ("/" if pattern.startswith("/") else ".")
    rest = [name for name in names[first:] if name not in ("", ".")]
    if not rest or ".." in rest:
        raise _invalid("ends in no name, or holds '..'")
    if len(rest) > MAX_PATTERN:
        raise _invalid(f"has more than {MAX_PATTERN} names after its first wildcard")
    return base, rest


def glob(place: Place, base: str, names: list[str], quota: Quota, fence: Fence) -> list[str]:
    """Paths below `place` that match, sorted, each begun with `base`. Follows no link."""
    walk = _Walk(names, quota, fence)
    try:
        with place.open(os.O_RDONLY | os.O_DIRECTORY) as folder:
            walk.enter(folder, "" if base == "." else f"{base.rstrip('/')}/", {0}, 0)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(walk.found)


class _Walk:
    def __init__(self, names: list[str], quota: Quota, fence: Fence) -> None:
        self.found: list[str] = []
        self._names = names
        self._patterns = [re.compile(fnmatch.translate(name)) for name in names]
        self._quota = quota
        self._fence = fence

    def enter(self, folder: int, prefix: str, states: set[int], depth: int) -> None:
        """Match what is in `folder` against the names that `states` are the numbers of."""
        for name, kind in scan(folder, self._quota, self._fence):
            after = self._after(states, name)
            if len(self._names) in after:
                self.found.append(prefix + name)
            if (
                kind == "directory"
                and depth < MAX_DEPTH
                and any(s < len(self._names) for s in after)
            ):
                self._descend(folder, prefix, name, after - {len(self._names)}, depth)

    def _descend(self, folder: int, prefix: str, name: str, states: set[int], depth: int) -> None:
        try:
            below = open_beneath(folder, name, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return  # closed to us, on another file system, or swapped for something else
        try:
            self.enter(below, f"{prefix}{name}/", states, depth + 1)
        finally:
            os.close(below)

    def _after(self, states: set[int], name: str) -> set[int]:
        """Which names of the pattern may come next, once `name` has been met."""
        after: set[int] = set()
        hidden = name.startswith(".")
        for state in self._closed(states):
            if state == len(self._names):
                continue
            wanted = self._names[state]
            if hidden and not wanted.startswith("."):
                continue
            if wanted == _ANY_DEPTH:
                after.add(state)
                if state == len(self._names) - 1:  # at the end it stands for all below
                    after.add(len(self._names))
            elif self._patterns[state].match(name):
                after.add(state + 1)
        return after

    def _closed(self, states: set[int]) -> set[int]:
        """With what follows a `**`, which may stand for no directory at all."""
        closed = set(states)
        for state in range(len(self._names)):
            if state in closed and self._names[state] == _ANY_DEPTH:
                closed.add(state + 1)
        return closed


def _invalid(what: str) -> BridgeError:
    return BridgeError("Validation", f"pattern: it {what}", field="pattern")
