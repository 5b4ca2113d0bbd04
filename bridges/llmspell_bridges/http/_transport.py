"""How requests leave: httpx, over connections to addresses that the gate has checked."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import httpcore
import httpx

from .._steady import steady
from ._gate import Gate

_CONNECTIONS: Final = 64
"""As many as a policy may let a run have open at once (`max_concurrent`)."""
_IDLE: Final = 5.0
"""Seconds that a connection waits for the run's next request."""


@cache
def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Public certificates, and those of the operator. Reads files, once. Raises `OSError`."""
    # Without the variables of the environment, which name other files.
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


class EgressTransport(httpx.AsyncHTTPTransport):
    """No proxies, no cookies, no redirects, no retries: what a request says, to where it says."""

    def __init__(self, gate: Gate, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE,
            network_backend=_GatedBackend(gate),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await steady(super().handle_async_request, request)


class _GatedBackend(httpcore.AsyncNetworkBackend):
    """Looks a name up once, checks all that is found, and dials what was checked.

    TLS and the header `Host` keep the name: httpcore takes them from the request.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one."""
        refused: Exception = httpcore.ConnectError(host)
        for address in await self._gate.addresses(host, port):
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise refused

    async def sleep(self, seconds: float) -> None:
        """Between retries, of which there are none."""
        await self._network.sleep(seconds)
