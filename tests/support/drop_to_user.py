"""Run a command as a user who is nobody in particular: `drop_to_user.py PATHS -- COMMAND...`.

PATHS, joined by colons, are the folders that the command must be able to read. Root's own folders
are often closed to others, and that is where interpreters and clones like to live. So the command
gets a mount namespace of its own in which each closed folder on the way is replaced by an open one
that holds the same things at the same path. Nothing is copied and nothing outside changes.

Standard library only: it runs before anything of ours can be imported.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path

UID = 54_321
"""Above what distributions give to people and services, below what containers map."""

CLONE_NEWNS = 0x0002_0000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x4_0000

_libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str | None) -> None:
    arguments = [None if a is None else a.encode() for a in (source, str(target), kind, data)]
    _must(_libc.mount(*arguments[:3], flags, arguments[3]), f"mount {target}")


def _closed(folder: Path) -> bool:
    """Whether others may not pass through or list this folder."""
    mode = folder.stat().st_mode
    return stat.S_ISDIR(mode) and mode & 0o005 != 0o005


def _blocks(path: Path) -> list[Path]:
    """Closed folders on the way to `path`, itself included, outermost first."""
    return [p for p in (*reversed(path.parents), path) if _closed(p)]


def _openings(paths: list[Path]) -> dict[Path, list[Path]]:
    """What to replace: each outermost closed folder, and what must reappear inside."""
    found: dict[Path, list[Path]] = {}
    for path in paths:
        if blocks := _blocks(path):
            # A closed folder that is itself wanted reappears as its contents.
            wanted = list(path.iterdir()) if blocks[-1] == path else [path]
            found.setdefault(blocks[0], []).extend(wanted)
    return found


def _reopen(folder: Path, wanted: list[Path]) -> None:
    # The originals are out of reach by name once the folder is covered, not by descriptor.
    held = {path: os.open(path, os.O_PATH) for path in dict.fromkeys(wanted)}
    _mount("open", folder, "tmpfs", 0, "mode=755")
    for path, descriptor in held.items():
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        (path if is_folder else path.parent).mkdir(parents=True, exist_ok=True)
        if not is_folder:
            path.touch()
        _mount(f"/proc/self/fd/{descriptor}", path, None, MS_BIND | MS_REC, None)
        os.close(descriptor)


def main() -> None:
    """Replace this process by the command, as the other user."""
    paths = [Path(p) for p in sys.argv[1].split(":") if Path(p).exists()]
    openings = _openings(paths)
    if openings:
        _must(_libc.unshare(CLONE_NEWNS), "unshare")
        _mount("none", Path("/"), None, MS_REC | MS_PRIVATE, None)
        os.umask(0o022)
        for folder, wanted in openings.items():
            _reopen(folder, wanted)
        os.chdir(Path.cwd())  # the working folder, by its name, in the new view
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    command = sys.argv[sys.argv.index("--") + 1 :]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
