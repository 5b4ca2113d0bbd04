"""What one run may still write and look at."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from .._errors import BridgeError
from ._config import FsConfig


class Quota:
    """Counts down. Threads share it."""

    def __init__(self, config: FsConfig) -> None:
        self._limits = {
            "max_written": config.max_written,
            "max_files": config.max_files,
            "max_entries": config.max_entries,
        }
        self._left = dict(self._limits)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def writing(self, size: int, *, files: int) -> Iterator[None]:
        """Reserve for a change; what fails gives it back. Raises `BridgeError` of kind `Limit`."""
        self._take(max_written=size, max_files=files)
        try:
            yield
        except BaseException:
            self._take(max_written=-size, max_files=-files)
            raise

    def look(self) -> None:
        """Count one directory entry. Raises `BridgeError` of kind `Limit`."""
        self._take(max_entries=1)

    def _take(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                if amount > self._left[name]:
                    message = (
                        f"this run has used up {name}, {self._limits[name]} under [fs]: "
                        f"it has {self._left[name]} left and needs {amount}"
                    )
                    raise BridgeError("Limit", message)
            for name, amount in amounts.items():
                self._left[name] -= amount
