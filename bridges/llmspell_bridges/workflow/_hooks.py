"""Webhooks: a small server on 127.0.0.1 that queues what is sent to the paths somebody waits for.

Every program of this machine can reach it, and so can pages in a browser. So a request has to name
this host, to come from no page, and to carry the operator's token if there is one.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
import os
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec
from aiohttp import web

from llmspell_protocol import ValueRejected, pack

from .._errors import BridgeError
from ._config import WorkflowConfig
from ._types import Event

MAX_QUEUE: Final = 64
"""Requests that wait for a spell which is busy. Beyond that senders are told to come again."""
MAX_BODY: Final = 1024 * 1024
"""Bytes of one request; what webhooks send is a few kilobytes."""
HOST: Final = "127.0.0.1"


PATIENCE: Final = 10.0
"""Seconds for the body of a request to arrive, on one machine."""


class Hooks:
    """The paths that spells wait at, all on one port, which is open while there are any."""

    def __init__(self, config: WorkflowConfig) -> None:
        self._port = config.webhook_port
        self._token_env = config.webhook_token_env
        self._queues: dict[str, asyncio.Queue[Event]] = {}
        self._runner: web.ServerRunner | None = None
        self._lock = asyncio.Lock()

    async def requests(self, path: str) -> AsyncGenerator[Event, None]:
        """Requests to `path`.

        Raises `BridgeError` when somebody else waits there, or the port cannot be had.
        """
        if path in self._queues:
            message = f"webhook: another spell waits at {path}"
            raise BridgeError("Validation", message, field="webhook")
        queue = self._queues[path] = asyncio.Queue(MAX_QUEUE)
        try:
            await self._listen()
            url = f"http://{HOST}:{self._port}{path}"
            yield Event(source="webhook", event="ready", url=url)
            while True:
                yield await queue.get()
        finally:
            del self._queues[path]
            if not self._queues:
                await self.close()

    async def close(self) -> None:
        """Stop listening."""
        async with self._lock:
            if self._runner is not None and not self._queues:
                await self._runner.cleanup()
                self._runner = None

    async def _listen(self) -> None:
        async with self._lock:
            if self._runner is not None:
                return
            token = os.environ.get(self._token_env, "") if self._token_env else None
            if token == "":
                message = f"the variable {self._token_env} (webhook_token_env) is not set"
                raise BridgeError("Configuration", message)
            runner = web.ServerRunner(web.Server(functools.partial(self._answer, token)))
            await runner.setup()
            try:
                await web.TCPSite(runner, HOST, self._port).start()
            except OSError as error:
                await runner.cleanup()
                message = f"port {self._port} (webhook_port) cannot be had: {error.strerror}"
                raise BridgeError("Configuration", message) from None
            self._runner = runner

    async def _answer(self, token: str | None, request: web.BaseRequest) -> web.Response:
        """Queue a request, or say why not. What is said is for whoever set the sender up."""
        queue = self._queues.get(request.path)
        if refusal := _refusal(request, self._port, token):
            return refusal
        if queue is None:
            return web.Response(status=404, text="nobody waits here")
        if request.method != "POST":
            return web.Response(status=405, text="POST it", headers={"Allow": "POST"})
        try:
            async with asyncio.timeout(PATIENCE):
                data = await _read(request)
            event = Event(
                source="webhook",
                event="request",
                path=request.path,
                query=dict(request.query),
                body=_body(data, request.content_type),
            )
        except (ValueError, ValueRejected, RecursionError, TimeoutError) as error:
            return web.Response(status=400, text=f"not taken: {type(error).__name__}")
        try:
            queue.put_nowait(event)
        except asyncio.QueueFull:
            return web.Response(status=503, text="busy", headers={"Retry-After": "1"})
        return web.Response(status=202, text="taken")


def _refusal(request: web.BaseRequest, port: int | None, token: str | None) -> web.Response | None:
    """What to tell a sender that may not send."""
    # A page in a browser can name us by a host name of its own, and says where it comes from.
    if request.host not in (f"{HOST}:{port}", f"localhost:{port}") or "Origin" in request.headers:
        return web.Response(status=403, text="only programs of this machine are heard")
    given = request.headers.get("Authorization", "").encode()
    if token is not None and not hmac.compare_digest(given, f"Bearer {token}".encode()):
        return web.Response(status=401, text="the token is missing or wrong")
    return None


async def _read(request: web.BaseRequest) -> bytes:
    """The body. Raises `ValueError` when it is too large."""
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > MAX_BODY:
            raise ValueError
    return bytes(data)


def _body(data: bytes, kind: str) -> Any:
    """Data where it is JSON, else text. Raises `ValueError` for what no script can hold."""
    if kind != "application/json":
        return data.decode()
    value = msgspec.json.decode(data)
    pack(value)
    return value
