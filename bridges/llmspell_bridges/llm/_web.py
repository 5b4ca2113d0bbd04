"""The HTTP client for servers that the operator names and for the local model.

litellm would read an answer whole before anybody could measure it. With this client a server that
never stops costs no more memory than one that keeps to `max_response`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx

from .._steady import steady

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from ._routing import Route

ENVELOPE: Final = 64 * 1024
"""Bytes of an answer that do not reach the script: ids, counts, log probabilities."""

STREAM_OVERHEAD: Final = 4
"""Bytes on the wire for one of `max_response`, when it is a stream: an event of 250 bytes brings a
word. With the default there is room for 160,000 of them, which no model writes in one answer."""

room: ContextVar[int] = ContextVar("room")
"""Bytes that the answer of the request at hand may have."""


class AnswerTooLarge(Exception):
    """A server sent more than there was room for. The connection is closed."""


class Web(httpx.AsyncClient):
    """A client that stops reading when there is no more room. Belongs to one event loop."""

    def __init__(self) -> None:
        # A compressed answer of a megabyte can be a gigabyte of text, so none is asked for. A
        # redirect could lead to an address that nobody checked, so none is followed.
        super().__init__(
            headers={"accept-encoding": "identity"},
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **options: Any
    ) -> httpx.Response:
        """Send it; the body that is then read, here or by the caller, is bounded by `room`."""
        ask = partial(super().send, stream=True, **options)
        response = await steady(ask, request)
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise httpx.DecodingError("a compressed answer that was not asked for")
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = _Bounded(response.stream, room.get())
            if not stream:
                await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, body: httpx.AsyncByteStream, limit: int) -> None:
        self._body = body
        self._left = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._left -= len(piece)
            if self._left < 0:
                await self._body.aclose()
                raise AnswerTooLarge
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


def client(web: Web, route: Route, timeout: float) -> AsyncOpenAI:
    """What litellm takes as its client for this call. Light: connections belong to `web`."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        api_key=route.key.reveal() if route.key else None,
        base_url=route.api_base,
        http_client=web,
        timeout=timeout,
        max_retries=0,
    )
