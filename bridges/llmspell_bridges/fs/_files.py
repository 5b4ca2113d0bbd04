"""What is done with files, always by descriptor. For threads. Each function raises `OSError`."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from typing import Final, Literal

from .._beneath import open_beneath
from .._errors import BridgeError
from . import _names
from ._quota import Quota
from ._roots import Place
from ._types import Entry, Kind, Stat
from ._work import Fence

_LOOK: Final = os.O_PATH
"""Opens nothing, so that a device does not act and a FIFO keeps nobody waiting."""
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY
_QUIET: Final = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_PROGRAM: Final = 0o666
"""The bits of a mode that a written file may have: a spell makes no program."""
_ANY_RUN: Final = 0o111


def read(
    place: Place, encoding: Literal["utf-8", "bytes"], offset: int, length: int | None, limit: int
) -> str | bytes:
    """A regular file, or a part of it, within `limit` bytes."""
    with place.open(_LOOK) as found:
        size = _regular(found, place.shown).st_size
        wanted = max(0, size - offset) if length is None else length
        if length is None and wanted > limit:
            raise _too_large(place.shown, wanted, limit)
        descriptor = os.open(_again(found), os.O_RDONLY | _QUIET)
    try:
        # One more than is allowed, because a file may grow.
        data = _read(descriptor, offset, min(wanted, limit) + 1)
    finally:
        os.close(descriptor)
    if length is not None:
        data = data[:length]
    if len(data) > limit:
        raise _too_large(place.shown, len(data), limit)
    return data if encoding == "bytes" else _text(data, place.shown)


def write(place: Place, data: bytes, quota: Quota, fence: Fence, *, overwrite: bool) -> None:
    """Put `data` in the place of a file, all of it in one moment."""
    name = _own_name(place)
    with place.open(_FOLDER, parent=True) as folder:
        before = _found(folder, name)
        if before is not None:
            if not overwrite:
                raise OSError(errno.EEXIST, "")
            _refuse_special(before.st_mode, place.shown)
        with quota.writing(len(data), files=int(before is None)):
            temporary = f"{_names.TEMPORARY}{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, _NO_PROGRAM, dir_fd=folder)
            try:
                try:
                    _write(descriptor, data, fence)
                    if before is not None:
                        os.fchmod(descriptor, before.st_mode & _NO_PROGRAM)
                    # Or a crash could leave an empty file in the place of the old one.
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                with fence.commit():
                    if overwrite:
                        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                    else:  # fails where a file has come up meanwhile
                        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                        os.unlink(temporary, dir_fd=folder)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):  # it may have its own name by now
                    os.unlink(temporary, dir_fd=folder)
                raise


def append(place: Place, data: bytes, quota: Quota, fence: Fence) -> None:
    """Put `data` at the end of a file, which is created where there is none."""
    name = _own_name(place)
    with place.open(_FOLDER, parent=True) as folder:
        missing = _found(folder, name) is None
    if missing:
        with contextlib.suppress(FileExistsError):  # somebody was quicker: append to theirs
            write(place, data, quota, fence, overwrite=False)
            return
    with place.open(_LOOK) as found:
        info = _regular(found, place.shown)
        if info.st_nlink > 1:
            message = f"path: '{place.shown}' has other names, perhaps elsewhere: write it anew"
            raise BridgeError("Policy", message, field="path")
        if info.st_mode & _ANY_RUN:
            message = f"path: '{place.shown}' is a program, and spells do not change programs"
            raise BridgeError("Policy", message, field="path")
        descriptor = os.open(_again(found), os.O_WRONLY | os.O_APPEND | _QUIET)
    try:
        with quota.writing(len(data), files=0), fence.commit():
            _append(descriptor, data)
    finally:
        os.close(descriptor)


def listing(place: Place, quota: Quota, fence: Fence) -> list[Entry]:
    """The entries of a directory, sorted by name."""
    with place.open(os.O_RDONLY | os.O_DIRECTORY) as folder:
        found = scan(folder, quota, fence)
    return [Entry(name=name, kind=kind) for name, kind in found]


def scan(folder: int, quota: Quota, fence: Fence) -> list[tuple[str, Kind]]:
    """Names and kinds in an open directory, sorted; without files that are being written."""
    entries: list[tuple[str, Kind]] = []
    with os.scandir(folder) as found:
        for entry in found:
            fence.check()
            quota.look()
            if entry.name.startswith(_names.TEMPORARY):
                continue
            # Names that are no text are shown as well as can be; no path leads to them.
            name = os.fsencode(entry.name).decode("utf-8", "replace")
            entries.append((name, _kind_of(entry)))
    return sorted(entries)


def status(place: Place) -> Stat | None:
    """What a path names; none if nothing."""
    try:
        with place.open(_LOOK) as found:
            info = os.fstat(found)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    return Stat(kind=_kind(info.st_mode), size=info.st_size, modified=info.st_mtime)


def make_directory(place: Place, quota: Quota, fence: Fence) -> None:
    """Create a directory and those above it, where they are missing."""
    with place.roots.opened(place.root) as top:
        folder = os.dup(top)
    try:
        for name in place.parts:
            try:
                below = open_beneath(folder, name, _FOLDER)
            except FileNotFoundError:
                with quota.writing(0, files=1), fence.commit():
                    os.mkdir(name, dir_fd=folder)
                below = open_beneath(folder, name, _FOLDER)
            os.close(folder)
            folder = below
    finally:
        os.close(folder)


def remove(place: Place, fence: Fence) -> None:
    """Remove a file or an empty directory."""
    name = _own_name(place)
    with place.open(_FOLDER, parent=True) as folder:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            with fence.commit():
                os.rmdir(name, dir_fd=folder)
            return
        _refuse_special(info.st_mode, place.shown)
        with fence.commit():
            os.unlink(name, dir_fd=folder)


def _own_name(place: Place) -> str:
    if not place.parts:
        message = f"path: '{place.shown}' is the granted directory itself"
        raise BridgeError("Validation", message, field="path")
    return place.parts[-1]


def _found(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _regular(descriptor: int, shown: str) -> os.stat_result:
    info = os.fstat(descriptor)
    _refuse_special(info.st_mode, shown)
    return info


def _refuse_special(mode: int, shown: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "")
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "")
    message = f"path: '{shown}' is a device, a socket or a pipe, and no regular file"
    raise BridgeError("Policy", message, field="path")


def _again(descriptor: int) -> str:
    """Opens what `descriptor` stands for, whatever its name leads to now."""
    return f"/proc/self/fd/{descriptor}"


def _read(descriptor: int, offset: int, most: int) -> bytes:
    pieces: list[bytes] = []
    while most > 0:
        piece = os.pread(descriptor, min(most, 1 << 20), offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        most -= len(piece)
    return b"".join(pieces)


def _write(descriptor: int, data: bytes, fence: Fence) -> None:
    view = memoryview(data)
    while view:
        fence.check()
        view = view[os.write(descriptor, view[: 1 << 20]) :]


def _append(descriptor: int, data: bytes) -> None:
    """Write it all, or take back what was written: a full disk leaves no half a record."""
    before = os.lseek(descriptor, 0, os.SEEK_END)
    written = 0
    try:
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    except OSError:
        if os.lseek(descriptor, 0, os.SEEK_END) == before + written:  # nobody else has written
            os.ftruncate(descriptor, before)
        raise


def _kind_of(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    return "directory" if stat.S_ISDIR(mode) else "other"


def _text(data: bytes, shown: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        message = f"path: '{shown}' is no UTF-8 text: read it with encoding = \"bytes\""
        raise BridgeError("Conversion", message, field="path") from None


def _too_large(shown: str, size: int, limit: int) -> BridgeError:
    message = (
        f"path: '{shown}' has {size} bytes, and max_response is {limit}: "
        "read it in parts with offset and length"
    )
    return BridgeError("Limit", message, field="path")
