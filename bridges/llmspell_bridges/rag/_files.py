"""Files of granted directories, reached by descriptors: no link is followed, no `..` is climbed."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import stat
from collections.abc import Iterator
from typing import Final

from .._errors import BridgeError
from .._threads import Job

MAX_DEPTH: Final = 16
"""Folders in folders that are looked into."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a pipe would hold the thread until somebody writes to it.
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def read(roots: tuple[str, ...], path: str, most: int) -> bytes:
    """The bytes of a regular file below one of `roots`. Raises `BridgeError`."""
    parts = _below(roots, path)
    if not parts[1:]:
        raise BridgeError("Validation", "path: a folder; use rag.ingest_folder", field="path")
    with _opened(path), _folder(parts[:-1]) as folder:
        return _contents(folder, parts[-1], most, path)


def walk(
    job: Job, roots: tuple[str, ...], path: str, pattern: str, most: int
) -> list[tuple[str, int]]:
    """Regular files below a folder whose path below it fits `pattern`: each with its size, sorted.

    Names that begin with a dot, and links, are passed over. Raises `BridgeError`.
    """
    parts = _below(roots, path)
    with _opened(path), _folder(parts) as folder:
        found: list[tuple[str, int]] = []
        for name, size in _files(job, folder, "", MAX_DEPTH):
            if fnmatch.fnmatchcase(name, pattern):
                found.append((name, size))
            if len(found) > most:
                message = f"path: more than {most} files (max_files): narrow the pattern"
                raise BridgeError("Limit", message, field="pattern")
    return sorted(found)


def _files(job: Job, folder: int, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            job.check()
            if entry.name.startswith("."):
                continue
            if entry.is_file(follow_symlinks=False):
                yield prefix + entry.name, entry.stat(follow_symlinks=False).st_size
            elif depth and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):  # gone, or not ours to read
                    inner = os.open(entry.name, _FOLDER, dir_fd=folder)
                    try:
                        yield from _files(job, inner, f"{prefix}{entry.name}/", depth - 1)
                    finally:
                        os.close(inner)


def _contents(folder: int, name: str, most: int, path: str) -> bytes:
    with open(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BridgeError("Validation", f"path: {path} is not a regular file", field="path")
        data = file.read(most + 1)
    if len(data) > most:
        message = f"path: {path} is larger than {most} bytes (max_document)"
        raise BridgeError("Limit", message, field="path")
    return data


def _below(roots: tuple[str, ...], path: str) -> list[str]:
    """The granted root of a path, and the names below it. Nothing is looked up."""
    names = path.split("/")
    if "\0" in path or ".." in names or not path.startswith("/"):
        message = "path: must be absolute, without '..'"
        raise BridgeError("Validation", message, field="path")
    wanted = [name for name in names if name not in ("", ".")]
    for root in roots:
        top = [name for name in root.split("/") if name]
        if wanted[: len(top)] == top:
            return [root, *wanted[len(top) :]]
    message = f"path: {path} is not granted; grant its folder with --allow-read"
    raise BridgeError("Policy", message, field="path")


@contextlib.contextmanager
def _folder(parts: list[str]) -> Iterator[int]:
    """Open a root, which the operator named, and go down from it name by name."""
    current = os.open(parts[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in parts[1:]:
            below = os.open(name, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            message = f"path: {path} leads over a link or through a file"
            raise BridgeError("Policy", message, field="path") from None
        raise BridgeError("Validation", f"path: {path}: {error.strerror}", field="path") from None
