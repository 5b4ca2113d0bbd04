"""A server at an address: the library's streamable HTTP over connections that bound what they read.

Imports the library; see `_library.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import httpx2
from mcp.client.streamable_http import streamable_http_client

from ._config import McpServerConfig
from ._grants import bearer
from ._wire import MAX_MESSAGE, MAX_VALUES, values

CONNECT: Final = 10.0
"""Seconds to connect. How long an answer takes is bounded where it is waited for."""


class WebLink:
    """The transport: enter it once for the streams of messages."""

    def __init__(self, name: str, config: McpServerConfig) -> None:
        self.ended: asyncio.Event = asyncio.Event()
        """Never set: that an address does not answer, a request tells."""
        self.why: str = "has closed the connection"
        """What a script is told then, after the server's name."""
        self._name = name
        self._config = config
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Any:
        """Nothing is sent yet. Raises `BridgeError` of kind `Configuration`."""
        key = bearer(self._name, self._config)
        headers = {"accept-encoding": "identity", **self._config.headers}
        if key is not None:
            headers["authorization"] = f"Bearer {key.reveal()}"
        verify = await asyncio.to_thread(httpx2.create_ssl_context, trust_env=False)
        client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=CONNECT),
            transport=_Bounded(verify=verify, trust_env=False),
            trust_env=False,
        )
        assert self._config.url is not None
        await self._stack.enter_async_context(client)
        return await self._stack.enter_async_context(
            streamable_http_client(
                self._config.url, http_client=client, max_sse_event_size=MAX_MESSAGE
            )
        )

    async def __aexit__(self, *_: object) -> None:
        """Close the session and the connections."""
        await self._stack.aclose()


class _Bounded(httpx2.AsyncHTTPTransport):
    """Answers of bounded size, uncompressed, and only to what was asked."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            # A stream of what nobody asked for. Servers need not have one, so clients do without.
            return httpx2.Response(405, request=request)
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.DecodingError("a compressed answer that was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Body(response.stream)
        return response


class _Body(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body
        self._bytes = MAX_MESSAGE
        self._values = MAX_VALUES

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._bytes -= len(piece)
            self._values -= values(piece)
            if self._bytes < 0 or self._values < 0:
                raise httpx2.ReadError("more than there is room for")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()
