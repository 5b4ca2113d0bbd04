"""Values that a file of tests keeps beside it: `NAME.snap`, readable JSON."""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec

from llmspell_supervisor import UsageError
from llmspell_supervisor._files import read_regular
from llmspell_supervisor._policy import MIB
from llmspell_supervisor._text import escape_line

from ._bridge import Found

SUFFIX: Final = ".snap"
VERSION: Final = 1
MAX_FILE: Final = 16 * MIB
"""Bytes of one file: a person looks through it when it changes."""


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    snapshots: dict[str, Any]


class Snapshots:
    """The snapshots of one file of tests."""

    def __init__(self, tests: str, *, update: bool) -> None:
        """Those of the file `tests`. Raises `UsageError` when they cannot be read."""
        self.path = tests + SUFFIX
        self._update = update
        self._kept = _read(self.path)
        self._met: dict[str, Any] = {}

    def compare(self, key: str, value: Any) -> Found:
        """What `value` is beside the snapshot `key`; with `update`, it becomes the snapshot."""
        value = _plain(value)
        self._met[key] = value
        if self._update:
            return Found(held=True)
        if key not in self._kept:
            message = f"there is no snapshot '{key}': keep it with --update"
            return Found(held=False, missing=True, message=message)
        if self._kept[key] == value and _text(self._kept[key]) == _text(value):
            return Found(held=True)
        message = f"expected the snapshot '{key}'"
        return Found(held=False, message=message, expected=self._kept[key])

    def stale(self) -> list[str]:
        """Snapshots that no test has asked for."""
        return sorted(self._kept.keys() - self._met.keys())

    def save(self, *, whole: bool) -> bool:
        """Keep what was met; if all tests of the file were run (`whole`), nothing else. True if changed."""
        new = self._met if whole else {**self._kept, **self._met}
        if not self._update or _text(new) == _text(self._kept):
            return False
        if not new:
            os.unlink(self.path)
            return True
        document = _Kept(VERSION, dict(sorted(new.items())))
        _write(self.path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        return True


def _write(path: str, data: bytes) -> None:
    """Put `data` in the place of `path`, also of a link that stands there. Raises `UsageError`."""
    draft = f"{path}.{os.getpid()}"
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(draft, path)
    except OSError as error:
        raise UsageError(f"{escape_line(path)} cannot be written: {error.strerror}") from None


def _read(path: str) -> dict[str, Any]:
    if not os.path.lexists(path):
        return {}
    shown = escape_line(path)
    try:
        kept = msgspec.json.decode(read_regular(path, MAX_FILE, UsageError), type=_Kept)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "remove it, and keep new ones with --update"
        raise UsageError(f"{shown}: {escape_line(str(error))}", hint) from None
    if kept.version != VERSION:
        raise UsageError(f"{shown} has version {kept.version}; known is {VERSION}")
    return kept.snapshots


def _plain(value: Any) -> Any:
    """As JSON brings it back: bytes as base64."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
