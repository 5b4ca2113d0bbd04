"""A request and its answer, through redirects, each of which passes the gate again."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import httpx

from .._errors import BridgeError
from .._secret import StreamMask, redact
from . import _headers
from ._body import decoded
from ._errors import explained
from ._gate import Gate, admit
from ._pace import Pace
from ._request import REDIRECTS, Outgoing
from ._secrets import Vault
from ._transport import EgressTransport, tls_context
from ._types import Head

if TYPE_CHECKING:
    from .._context import CallContext
    from ._config import HttpConfig
    from ._resolver import Resolver
    from ._url import Target


class Web:
    """What all runs share: certificates, secrets, the gate, the pace."""

    def __init__(self, config: HttpConfig, resolver: Resolver) -> None:
        """Reads files. Raises `BridgeError` of kind `Configuration`."""
        self.gate = Gate(config.allow_private, resolver)
        self.vault = Vault(config)
        self.pace = Pace(config.rate, config.burst)
        self.max_sent = config.max_sent
        try:
            self.tls: ssl.SSLContext = tls_context(config.ca_file)
        except OSError as error:  # ssl.SSLError is one
            message = f"[http.ca_file] {config.ca_file}: {error.strerror or 'no certificates'}"
            raise BridgeError("Configuration", message, field="http.ca_file") from None


class Session:
    """What one run has: connections, and bytes that it may still send."""

    def __init__(self, web: Web) -> None:
        self.transport = EgressTransport(web.gate, web.tls)
        self._limit = self._left = web.max_sent

    def spend(self, size: int) -> None:
        """Take from what the run may send. Raises `BridgeError` of kind `Limit`."""
        if size > self._left:
            message = (
                f"this run has used up max_sent, {self._limit} bytes under [http]: "
                f"it has {self._left} left and needs {size}"
            )
            raise BridgeError("Limit", message)
        self._left -= size

    async def close(self) -> None:
        """Hang up."""
        await self.transport.aclose()


class Answer:
    """An answer whose body may be read, once."""

    def __init__(
        self, response: httpx.Response, request: Outgoing, hidden: tuple[str, ...], limit: int
    ) -> None:
        headers = _headers.answered(response.headers.raw)
        self.encoding = headers.get("content-encoding", "") if request.method != "HEAD" else ""
        self.head = Head(
            status=response.status_code,
            ok=200 <= response.status_code < 300,
            url=redact(request.target.url, hidden),
            headers={redact(n, hidden): redact(v, hidden) for n, v in headers.items()},
        )
        self.hidden = hidden
        """What nothing may show. What is decoded further is masked again: it may come to light."""
        self._response = response
        self._limit = limit

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed, without secrets. Raises `BridgeError`."""
        raw = self._response.aiter_raw()
        mask = StreamMask(self.hidden)
        async for piece in decoded(raw, self.encoding, self._limit):
            if not self.hidden:
                yield piece
            elif shown := mask.feed(piece.decode("latin-1")):
                yield shown.encode("latin-1")
        if rest := mask.feed("", last=True):
            yield rest.encode("latin-1")


@contextlib.asynccontextmanager
async def exchange(
    web: Web, session: Session, ctx: CallContext, request: Outgoing, patience: float
) -> AsyncIterator[Answer]:
    """Send a request and follow where it leads. `patience` is seconds for each wait.

    Raises `BridgeError`, whose text shows no secret whatever the server has sent.
    """
    hidden = web.vault.hidden()
    with _masked_errors(hidden):
        field, follows = "url", request.redirects > 0
        while True:
            permit(ctx, request.target, field)
            session.spend(request.size())
            await asyncio.sleep(web.pace.reserve(request.target.host, patience))
            with explained(request.target, patience):
                message = _message(request, patience)
                response = await session.transport.handle_async_request(message)
                try:
                    location = response.headers.get("location")
                    if not (follows and location and response.status_code in REDIRECTS):
                        yield Answer(response, request, hidden, ctx.policy.max_response)
                        return
                finally:
                    await response.aclose()
            request, field = request.redirected(response.status_code, location), "location"


def permit(ctx: CallContext, target: Target, field: str) -> None:
    """Refuse what the policy does not grant, and note either. Raises as `admit`."""
    try:
        admit(target, ctx.policy, field)
    except BridgeError:
        ctx.note(refused=target.host)
        raise
    ctx.touch(domain=target.host)


@contextlib.contextmanager
def _masked_errors(hidden: tuple[str, ...]) -> Iterator[None]:
    try:
        yield
    except BridgeError as error:
        text = redact(error.message, hidden)
        if text == error.message:
            raise
        raise BridgeError(error.kind, text, retryable=error.retryable, field=error.field) from None


def _message(request: Outgoing, patience: float) -> httpx.Request:
    target = request.target
    url = httpx.URL(scheme=target.scheme, host=target.host, port=target.port,
                    raw_path=target.path.encode())  # fmt: skip
    _same(url, target)
    waits = dict.fromkeys(("connect", "read", "write", "pool"), patience)
    return httpx.Request(
        request.method,
        url,
        headers=request.sent_headers(),
        content=request.body,
        extensions={"timeout": waits},
    )


def _same(url: httpx.URL, target: Target) -> None:
    """That httpx reads the address as we do; it must, since it is written plainly."""
    port = url.port or {"https": 443, "http": 80}[url.scheme]
    if (url.scheme, url.raw_host.decode(), port) != target.origin:
        raise BridgeError("Validation", "url: it is read in two ways", field="url")
