"""The bridge `http`: translates, checks, and lets httpx do the rest."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from .._clock import off_the_clock
from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, End, method
from .._secret import StreamMask, masked
from ._config import HttpConfig
from ._types import Head, HttpResponse, Method, RequestOptions, StreamOptions

if TYPE_CHECKING:
    from ._exchange import Answer, Session, Web
    from ._request import Outgoing
    from ._resolver import Resolver

_CHARSET: Final = re.compile(r'charset="?([A-Za-z0-9_.:-]{1,40})', re.IGNORECASE)
SAFE: Final = ("GET", "HEAD", "OPTIONS")
"""Methods that ask for nothing but an answer (RFC 9110, 9.2.1): what a dry run sends."""
_NOTHING: Final[dict[str, Any]] = {"status": 0, "ok": False, "url": "", "headers": {}}
"""What a dry run answers in place of a server."""
_PLAIN: Final = RequestOptions()
_STREAMED: Final = StreamOptions()


class HttpBridge(Bridge):
    """The web: hosts that the policy grants, at public addresses."""

    name: ClassVar[str] = "http"
    config: ClassVar[type[BridgeConfig]] = HttpConfig

    def __init__(self, config: HttpConfig, resolver: Resolver | None = None) -> None:
        """`resolver` stands in for this machine's own."""
        self._config = config
        self._resolver = resolver
        self._loading: asyncio.Task[Web] | None = None

    async def close(self) -> None:
        """Look no more names up."""
        if self._resolver is not None:
            self._resolver.close()

    @method(effect="read")
    async def get(
        self, ctx: CallContext, url: str, options: RequestOptions = _PLAIN
    ) -> HttpResponse:
        """Ask for what is at an address."""
        return await self._request(ctx, "GET", url, options)

    @method(effect="read")
    async def head(
        self, ctx: CallContext, url: str, options: RequestOptions = _PLAIN
    ) -> HttpResponse:
        """Ask for the headers of what is at an address."""
        return await self._request(ctx, "HEAD", url, options)

    @method(effect="send")
    async def post(
        self, ctx: CallContext, url: str, options: RequestOptions = _PLAIN
    ) -> HttpResponse:
        """Send something to an address: body, json or form."""
        return await self._request(ctx, "POST", url, options)

    @method(effect="send")
    async def put(
        self, ctx: CallContext, url: str, options: RequestOptions = _PLAIN
    ) -> HttpResponse:
        """Put something at an address."""
        return await self._request(ctx, "PUT", url, options)

    @method(effect="send")
    async def patch(
        self, ctx: CallContext, url: str, options: RequestOptions = _PLAIN
    ) -> HttpResponse:
        """Change what is at an address."""
        return await self._request(ctx, "PATCH", url, options)

    @method(effect="send")
    async def delete(
        self, ctx: CallContext, url: str, options: RequestOptions = _PLAIN
    ) -> HttpResponse:
        """Remove what is at an address."""
        return await self._request(ctx, "DELETE", url, options)

    @method(effect="varies")
    async def request(
        self, ctx: CallContext, verb: Method, url: str, options: RequestOptions = _PLAIN
    ) -> HttpResponse:
        """Make a request with any method."""
        return await self._request(ctx, verb, url, options)

    @method(effect="varies")
    async def stream(
        self, ctx: CallContext, url: str, options: StreamOptions = _STREAMED
    ) -> AsyncIterator[str | bytes | End[Head]]:
        """Read a body as it arrives, in pieces of text or bytes; ends with status and headers."""
        from ._request import outgoing

        web, session = await self._ready(ctx)
        request = outgoing(options.method, url, options, web.vault)
        if _planned(ctx, request):
            yield End(Head(**_NOTHING))
            return
        timeout = _timeout(ctx, options.timeout)
        from ._exchange import exchange

        async with exchange(web, session, ctx, request, timeout) as answer:
            pieces = answer.pieces() if options.expect == "bytes" else _texts(answer)
            async for piece in pieces:
                yield piece
            yield End(answer.head)

    async def _request(
        self, ctx: CallContext, verb: str, url: str, options: RequestOptions
    ) -> HttpResponse:
        web, session = await self._ready(ctx)
        from ._exchange import exchange
        from ._request import outgoing

        request = outgoing(verb, url, options, web.vault)
        if _planned(ctx, request):
            return HttpResponse(**_NOTHING, body=None)
        timeout = _timeout(ctx, options.timeout)
        try:
            async with (
                asyncio.timeout(timeout),
                exchange(web, session, ctx, request, timeout) as answer,
            ):
                return await _whole(answer, options)
        except TimeoutError:
            message = f"{request.target.authority}: no answer within {timeout:g} s"
            raise BridgeError("Timeout", message, retryable=True, duration=timeout) from None

    async def _ready(self, ctx: CallContext) -> tuple[Web, Session]:
        """What all runs share, made with the first call, and what is this run's own."""
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._load))
        with off_the_clock():  # httpx takes a quarter of a second to import
            web = await asyncio.shield(self._loading)
        from ._exchange import Session

        return web, ctx.state("http", lambda: Session(web))

    def _load(self) -> Web:
        from ._exchange import Web
        from ._resolver import SystemResolver

        if self._resolver is None:
            self._resolver = SystemResolver()
        return Web(self._config, self._resolver)


def _planned(ctx: CallContext, request: Outgoing) -> bool:
    """List what a dry run does not send, if it is one. Raises `BridgeError` for what may not be."""
    if not ctx.dry_run or request.method in SAFE:
        return False
    from ._exchange import permit

    permit(ctx, request.target, "url")
    target = request.target
    ctx.plan("send", f"{request.method} {target.scheme}://{target.authority}")
    return True


def _timeout(ctx: CallContext, asked: float | None) -> float:
    return min(asked or ctx.call_timeout(), ctx.call_timeout())


async def _whole(answer: Answer, options: RequestOptions) -> HttpResponse:
    if options.expect == "text":
        body: Any = "".join([text async for text in _texts(answer)])
    else:
        body = b"".join([piece async for piece in answer.pieces()])
        if options.expect == "json":
            body = await asyncio.to_thread(_json, body, answer.hidden)
    head = answer.head
    return HttpResponse(
        status=head.status, ok=head.ok, url=head.url, headers=head.headers, body=body
    )


async def _texts(answer: Answer) -> AsyncIterator[str]:
    """The body as text, piece by piece."""
    decoder, mask = _text_decoder(answer.head), StreamMask(answer.hidden)
    async for piece in answer.pieces():
        if text := mask.feed(decoder.decode(piece)):
            yield text
    if text := mask.feed(decoder.decode(b"", final=True), last=True):
        yield text


def _text_decoder(head: Head) -> codecs.IncrementalDecoder:
    """By what the server says; UTF-8 where it says nothing that we know."""
    found = _CHARSET.search(head.headers.get("content-type", ""))
    name = found[1] if found else "utf-8"
    try:
        # Not one of Python's own, such as `zlib`, which text encodings only are told by.
        text = codecs.lookup(name)._is_text_encoding
    except LookupError:
        text = False
    return codecs.getincrementaldecoder(name if text else "utf-8")("replace")


def _json(data: bytes, hidden: tuple[str, ...]) -> Any:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        message = 'the body is no JSON: ask for it with expect = "text" to see what it is'
        raise BridgeError("Serialization", message) from None
    # Once more: an escape such as \u0041 may have kept a secret from being seen.
    return masked(value, hidden) if hidden else value
