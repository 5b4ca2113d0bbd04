"""HTTP exchanges that free their connections however they end.

httpx closes a connection with awaits, and a cancellation that comes while it does so leaves the
connection open for as long as the client lives. Two limits of time that run out together are
enough, or a call that gives up as its run ends. So an exchange goes on in a task of its own, which
a cancellation reaches once, and there is one clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import httpx

from ._settled import settled

T = TypeVar("T")


async def steady(
    send: Callable[[httpx.Request], Awaitable[httpx.Response]], request: httpx.Request
) -> httpx.Response:
    """Send it; what is then read of the body is steady too. Raises what `send` does.

    The request's `timeout` for reading bounds the wait for the head, and for each piece, in seconds.
    """
    # httpx is not to keep the time as well: its clock and the caller's would run out together.
    timeouts = request.extensions.pop("timeout", {})
    patience: float | None = timeouts.get("read")
    task = asyncio.ensure_future(send(request))
    try:
        response = await _within(patience, request, task)
    except BaseException:
        if not task.cancelled() and task.exception() is None:  # it came as the wait was given up
            await _closed(task.result())
        raise
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _Body(response.stream, request, patience)
    return response


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, body: httpx.AsyncByteStream, request: httpx.Request, patience: float | None
    ) -> None:
        self._body = body
        self._request = request
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self._body)
        while True:
            task = asyncio.ensure_future(anext(pieces, None))
            piece = await _within(self._patience, self._request, task)
            if piece is None:
                return
            yield piece

    async def aclose(self) -> None:
        await _closed(self._body)


async def _within(patience: float | None, request: httpx.Request, task: asyncio.Future[T]) -> T:
    limit = asyncio.timeout(patience)
    try:
        async with limit:
            return await settled(task, stop=True)
    except TimeoutError:
        if not limit.expired():
            raise
        raise httpx.ReadTimeout("", request=request) from None


async def _closed(body: httpx.Response | httpx.AsyncByteStream) -> None:
    await settled(asyncio.ensure_future(body.aclose()), stop=False)
