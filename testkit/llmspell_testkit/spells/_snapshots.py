"""Values that a file of tests keeps beside it: `NAME.snap`, readable JSON."""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec

from llmspell_supervisor import UsageError

from ._bridge import Found

SUFFIX: Final = ".snap"
VERSION: Final = 1


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
        data = msgspec.json.format(msgspec.json.encode(document), indent=2)
        with open(self.path, "wb") as file:
            file.write(data + b"\n")
        return True


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            kept = msgspec.json.decode(file.read(), type=_Kept)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", "remove it, and keep new ones with --update") from None
    if kept.version != VERSION:
        raise UsageError(f"{path} has version {kept.version}; known is {VERSION}")
    return kept.snapshots


def _plain(value: Any) -> Any:
    """As JSON brings it back: bytes as base64."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
