"""Files of databases that belong to the supervisor's user alone."""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import Final

set_up: Final = threading.Lock()
"""Held while a connection is set up. Of two that make a new file one with a write-ahead log, SQLite
refuses one at once, whatever time it was given to wait: neither could ever go first."""


def make_private_file(path: str) -> None:
    """Make an empty file that nobody else can read, unless there is one. Raises `OSError`.

    It is not opened. To close any descriptor of a file gives up every lock that the process holds on
    it (fcntl_locking(2)): those of a connection that another thread has to the same database, too.
    """
    try:
        os.mknod(path, stat.S_IFREG | 0o600)
    except FileExistsError:
        if stat.S_ISLNK(os.lstat(path).st_mode):  # whose target would be somebody's choice
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
