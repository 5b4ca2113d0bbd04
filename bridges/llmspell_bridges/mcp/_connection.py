"""One conversation with a server, from its start to its end. Imports the library."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final, TypeVar

from mcp.client.client import Client
from mcp_types import Implementation

from .._errors import BridgeError
from ._config import McpServerConfig
from ._errors import explain
from ._process import ProcessLink
from ._web import WebLink

T = TypeVar("T")

CLOSE: Final = 8.0
"""Seconds to end a conversation: more than the guard of a program takes at worst."""

_US: Final = Implementation(name="llmspell-supervisor", version=version("llmspell-supervisor"))


class Connection:
    """A server that has said hello. Made by `open`; answers `request` until it is not `alive`."""

    def __init__(self, name: str, config: McpServerConfig) -> None:
        self._name = name
        self._link = WebLink(name, config) if config.url else ProcessLink(name, config)
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._requests: set[asyncio.Task[Any]] = set()
        self._heard = 0.0
        # The library wants the task that begins a conversation to end it.
        self._owner = asyncio.create_task(self._hold())

    @classmethod
    async def open(cls, name: str, config: McpServerConfig) -> Connection:
        """Start the server, or connect to it. Raises `BridgeError`; nothing is left of it then."""
        self = cls(name, config)
        try:
            async with asyncio.timeout(config.start_timeout):
                both: set[asyncio.Future[Any]] = {self._ready, self._owner}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self.close()
            message = f"MCP server {name}: not ready within {config.start_timeout:g} s"
            raise BridgeError(
                "Timeout", message, retryable=True, duration=config.start_timeout
            ) from None
        except BaseException:
            await self.close()
            raise
        if not self._ready.done() or self._ready.exception() is not None:
            raise self._ready.exception() or self._gone()
        return self

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return not (self._owner.done() or self._over.is_set() or self._link.ended.is_set())

    async def request(self, ask: Callable[[Client], Awaitable[T]], seconds: float, what: str) -> T:
        """What the server answers to `ask`. Raises `BridgeError`, with `what` was asked for.

        Cancelled, or after `seconds`, it does not wait for the library to take leave of the server.
        A server that has said nothing at all meanwhile is ended, since it hangs.
        """
        asked = time.monotonic()
        work = asyncio.ensure_future(ask(self._ready.result()))
        self._requests.add(work)
        work.add_done_callback(self._done)
        try:
            await asyncio.wait({work, self._owner}, timeout=seconds,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
        finally:
            if not work.done():
                work.cancel()
        if work.done() and not work.cancelled():
            self._heard = time.monotonic()
            return self._result(work, what)
        if not self.alive:
            raise self._gone()
        if self._heard < asked:
            self._over.set()
        message = f"{what}: no answer within {seconds:g} s"
        raise BridgeError("Timeout", message, retryable=True, duration=seconds)

    async def close(self) -> None:
        """End the conversation, and the server if it is a program."""
        self._over.set()
        if not self._ready.done():
            self._owner.cancel()
        await asyncio.wait({self._owner, *self._requests}, timeout=CLOSE)

    def _result(self, work: asyncio.Future[T], what: str) -> T:
        error = work.exception()
        if error is None:
            return work.result()
        if self._link.ended.is_set():
            raise self._gone() from error
        found = explain(error, what)
        if found.retryable:
            self._over.set()  # nothing more comes over this connection
        raise found from error

    def _gone(self) -> BridgeError:
        message = f"MCP server {self._name}: it {self._link.why}"
        return BridgeError("Provider", message, retryable=True)

    def _done(self, work: asyncio.Task[Any]) -> None:
        self._requests.discard(work)
        if not work.cancelled():
            work.exception()  # it was looked at, or nobody waits any more

    async def _hold(self) -> None:
        try:
            async with Client(self._link, mode="auto", cache=None, client_info=_US) as client:
                self._ready.set_result(client)
                await _first(self._over, self._link.ended)
        except Exception as error:  # noqa: BLE001 - whoever waits for the server gets it
            if not self._ready.done():
                ended = self._link.ended.is_set() and not isinstance(error, BridgeError)
                self._ready.set_exception(
                    self._gone() if ended else explain(error, f"MCP server {self._name}")
                )


async def _first(*events: asyncio.Event) -> None:
    waits = {asyncio.ensure_future(event.wait()) for event in events}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
