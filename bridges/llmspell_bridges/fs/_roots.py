"""The directories that a run was granted: opened once, and where each path is among them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from .._beneath import is_kernels_own, open_beneath
from .._context import PolicyView
from .._errors import BridgeError
from . import _names
from ._work import Abandoned

Access = Literal["read", "write"]

_FLAGS: Final = {"read": "--allow-read", "write": "--allow-write"}
_DOING: Final = {"read": "reading", "write": "writing"}


class Root(Struct, frozen=True):
    """A granted directory."""

    path: str
    """The real one."""
    given: str
    """What the operator wrote for it, as an absolute path."""
    spellings: frozenset[str]
    """It, and what the operator wrote for it."""


class Place(Struct, frozen=True):
    """What a script's path names: a way down from a root."""

    roots: Roots
    root: Root
    parts: tuple[str, ...]
    shown: str
    """The path as the script wrote it, for errors."""

    def needed(self) -> str:
        """What would have to be granted for it: by an absolute path, no more than there is of it.

        A relative one says nothing without its root. For threads.
        """
        if not self.shown.startswith("/"):
            return self.root.given
        parts = list(self.parts)
        while parts and not os.path.lexists(os.path.join(self.root.given, *parts)):
            parts.pop()
        return os.path.join(self.root.given, *parts)

    @contextlib.contextmanager
    def open(self, flags: int, *, parent: bool = False) -> Iterator[int]:
        """A descriptor of it, or of the directory that holds it. Raises `OSError`."""
        parts = self.parts[:-1] if parent else self.parts
        with self.roots.opened(self.root) as top:
            found = open_beneath(top, "/".join(parts) or ".", flags)
        try:
            yield found
        finally:
            os.close(found)


class Roots:
    """The granted directories of one run. What stands at a path later does not matter to it.

    All but `close` is for threads: a file system may keep its callers waiting.
    """

    def __init__(self, policy: PolicyView) -> None:
        """Open nothing yet."""
        self._policy = policy
        self._lock = threading.Lock()
        self._granted: dict[Access, tuple[Root, ...]] | None = None
        self._descriptors: dict[Root, int] = {}
        self._over = False

    async def close(self) -> None:
        """Work that still goes on keeps what it has opened by itself."""
        with self._lock:
            self._over = True
            self._close()

    def _close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def granted(self, access: Access) -> tuple[Root, ...]:
        """The directories for an access, opened.

        Raises `BridgeError` of kind `Configuration` when one of the run's cannot be opened.
        """
        with self._lock:
            if self._granted is None:
                granted: dict[Access, tuple[Root, ...]] = {
                    "read": tuple(map(_root, self._policy.allow_read)),
                    "write": tuple(map(_root, self._policy.allow_write)),
                }
                try:
                    for root in {*granted["read"], *granted["write"]} if not self._over else ():
                        self._descriptors[root] = _open(root.path)
                except BridgeError:
                    self._close()
                    raise
                self._granted = granted
            return self._granted[access]

    @contextlib.contextmanager
    def opened(self, root: Root) -> Iterator[int]:
        """A descriptor of `root` for one use: a run that ends must not close it meanwhile.

        Raises `Abandoned` when the run is over.
        """
        with self._lock:
            if self._over:
                raise Abandoned
            own = os.dup(self._descriptors[root])
        try:
            yield own
        finally:
            os.close(own)

    def locate(self, path: str, access: Access) -> Place:
        """Where `path` is. Raises `BridgeError`: `Validation`, or `Policy` for what is not granted.

        An absolute path lies in the innermost root above it; a relative one in the only root there
        is for this access.
        """
        parts, granted = _names.parts_of(path), self.granted(access)
        if not granted:
            raise _not_granted(path, access)
        if not path.startswith("/"):
            if len(granted) > 1:
                there = ", ".join(root.path for root in granted)
                message = f"path: {_quoted(path)} is relative to which of {there}? Write it in full"
                raise BridgeError("Validation", message, field="path")
            return Place(self, granted[0], parts, path)
        found: tuple[int, Root] | None = None
        for root in granted:
            for spelling in root.spellings:
                above = tuple(filter(None, spelling.split("/")))
                inside = parts[: len(above)] == above
                if inside and (found is None or len(above) > found[0]):
                    found = (len(above), root)
        if found is None:
            raise _not_granted(path, access)
        return Place(self, found[1], parts[found[0] :], path)


def _root(path: str) -> Root:
    real = os.path.realpath(path)
    given = os.path.abspath(path)
    return Root(real, given, frozenset({real, given}))


def _open(path: str) -> int:
    try:
        # A real path has no link in it: one that is there now was put there since.
        found = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        message = f"the granted directory {path} cannot be opened: {error.strerror}"
        raise BridgeError("Configuration", message) from None
    if is_kernels_own(found):
        os.close(found)
        message = f"{path} is the kernel's own, and no directory of files: it cannot be granted"
        raise BridgeError("Configuration", message)
    return found


def _not_granted(path: str, access: Access) -> BridgeError:
    folder = os.path.dirname(path) if path.startswith("/") else "DIR"
    message = (
        f"path: {_quoted(path)} is in no directory that is granted for {_DOING[access]}; "
        f"grant one with {_FLAGS[access]} {folder}"
    )
    return BridgeError("Policy", message, field="path")


def _quoted(path: str) -> str:
    return f"'{path if len(path) <= 100 else path[:99] + '…'}'"
