"""What a local store must not do: follow links out of its directory, or open a pipe."""

from __future__ import annotations

import contextlib
import os
import stat
from urllib.parse import unquote, urlsplit

from .._errors import BridgeError


def root_of(url: str) -> str:
    """The directory of a `file:///` address."""
    return unquote(urlsplit(url).path)


def check(root: str, path: str) -> None:
    """Refuse a path that leads over a link, or to what is no regular file. `BridgeError`.

    obstore follows links. Scripts cannot make any; whoever else may write in the directory could
    swap one in after this look, and could as well have copied the file there.
    """
    if not is_plain(root, path):
        message = f"path: {path} leads over a link, or is no regular file"
        raise BridgeError("Policy", message, field="path")


def listing(root: str, prefix: str, most: int) -> list[str]:
    """Paths of regular files below `prefix`, sorted; one more than `most`, if there are more.

    obstore's own list would go through links, in circles too.
    """
    found: list[str] = []
    if prefix and not is_plain(root, prefix):
        return found
    for folder, folders, files in os.walk(os.path.join(root, prefix)):
        folders.sort()
        below = os.path.relpath(folder, root)
        paths = (name if below == "." else f"{below}/{name}" for name in files)
        found += [path for path in paths if is_plain(root, path)]
        if len(found) > most:
            break
    return sorted(found)


def is_plain(root: str, path: str) -> bool:
    """Whether every part of `path` that there is may be used."""
    current = root
    names = path.split("/")
    for index, name in enumerate(names):
        current = os.path.join(current, name)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mode = os.lstat(current).st_mode
            last = index == len(names) - 1
            if not (stat.S_ISDIR(mode) or (last and stat.S_ISREG(mode))):
                return False
    return True
