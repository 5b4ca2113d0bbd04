"""From names to addresses: the one place where a name is looked up."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from .._errors import BridgeError

THREADS: Final = 8
"""A name server that is silent keeps a thread for half a minute; other bridges have their own."""


class Resolver(Protocol):
    """Looks names up."""

    async def resolve(self, host: str) -> list[str]:
        """Every address of `host`. Raises `BridgeError` of kind `Network`."""

    def close(self) -> None:
        """Look no more up."""


class SystemResolver:
    """What this machine is configured for: its hosts file, its name servers."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")

    async def resolve(self, host: str) -> list[str]:
        """Every address of `host`, as getaddrinfo(3) sorts them."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host)
        except OSError as error:  # socket.gaierror
            again = error.errno == socket.EAI_AGAIN
            message = f"url: the name {host} is not known to this machine's name servers"
            raise BridgeError("Network", message, retryable=again, field="url") from None
        return found

    def close(self) -> None:
        """Begin no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
