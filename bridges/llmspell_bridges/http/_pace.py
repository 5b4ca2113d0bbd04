"""How fast one host is asked: the generic cell rate algorithm, a token bucket that is one number."""

from __future__ import annotations

import time
from typing import Final

from .._errors import BridgeError

_MANY: Final = 1024
"""Hosts that are remembered before those are forgotten that have all their tokens again."""


class Pace:
    """Spreads requests to each host. For one event loop."""

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1 / rate
        self._tolerance = (burst - 1) / rate
        self._due: dict[str, float] = {}  # when the host's bucket is full again

    def reserve(self, host: str, patience: float) -> float:
        """Seconds to wait before the next request to `host`.

        Raises `BridgeError` of kind `RateLimit`, and reserves nothing, if that is more than
        `patience`.
        """
        now = time.monotonic()
        due = max(self._due.get(host, now), now)
        wait = max(0.0, due - self._tolerance - now)
        if wait > patience:
            message = f"{host} is asked too often: the limit is rate under [http]"
            raise BridgeError("RateLimit", message, retryable=True, retry_after=wait)
        if len(self._due) >= _MANY:
            self._due = {name: full for name, full in self._due.items() if full > now}
        self._due[host] = due + self._interval
        return wait
