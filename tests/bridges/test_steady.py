"""Connections are closed however an exchange ends, and when it is cancelled again meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest

from llmspell_bridges.http._gate import Gate as EgressGate
from llmspell_bridges.http._resolver import SystemResolver
from llmspell_bridges.http._transport import EgressTransport, tls_context
from llmspell_bridges.llm._web import Web, room
from llmspell_testkit.model_server import Answer, Gate, ModelServer

Reading = Callable[[str, float | None], Awaitable[bytes]]
"""Asks for a completion; takes the address and seconds of one wait. Returns the body."""


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


async def _of_models(stack: AsyncExitStack, server: ModelServer) -> Reading:
    web = await stack.enter_async_context(Web())
    room.set(1024 * 1024)

    async def read(body: str, patience: float | None) -> bytes:
        url = f"{server.base_url}/chat/completions"
        return (await web.post(url, content=body, timeout=patience)).content

    return read


async def _of_spells(stack: AsyncExitStack, server: ModelServer) -> Reading:
    resolver = SystemResolver()
    stack.callback(resolver.close)
    gate = EgressGate((f"127.0.0.1:{httpx.URL(server.base_url).port}",), resolver)
    transport = await stack.enter_async_context(EgressTransport(gate, tls_context(None)))

    async def read(body: str, patience: float | None) -> bytes:
        request = httpx.Request(
            "POST",
            f"{server.base_url}/chat/completions",
            content=body,
            extensions={"timeout": {"read": patience}},
        )
        response = await transport.handle_async_request(request)
        try:
            return await response.aread()
        finally:
            await response.aclose()

    return read


both = pytest.mark.parametrize("client", [_of_models, _of_spells])
HEAD = '{"model": "m", "messages": []}'
BODY = '{"model": "m", "messages": [], "stream": true}'
at = pytest.mark.parametrize("asked", [HEAD, BODY], ids=["head", "body"])


@both
@at
@pytest.mark.parametrize("turns", range(6))
def test_one_that_is_cancelled_twice_hangs_up(
    server: ModelServer, client: Callable[..., Awaitable[Reading]], asked: str, turns: int
) -> None:
    gate = Gate()
    server.script("m", Answer("a b c", gate=gate, gate_after=1))

    async def main() -> None:
        async with AsyncExitStack() as stack:
            read = await client(stack, server)
            task = asyncio.ensure_future(read(asked, None))
            await asyncio.to_thread(gate.wait_reached)
            task.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(gate.wait_abandoned)

    asyncio.run(main())


@both
@at
def test_one_whose_time_is_up_as_it_is_cancelled_hangs_up(
    server: ModelServer, client: Callable[..., Awaitable[Reading]], asked: str
) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            read = await client(stack, server)
            for patience in (gate := Gate()).short_timeouts(0.2):
                server.script("m", Answer("a b c", gate=gate, gate_after=1))
                with pytest.raises((TimeoutError, httpx.ReadTimeout)):
                    async with asyncio.timeout(patience):
                        await read(asked, patience)
            await asyncio.to_thread(gate.wait_abandoned)

    asyncio.run(main())


@both
@at
def test_patience_is_for_one_wait(
    server: ModelServer, client: Callable[..., Awaitable[Reading]], asked: str
) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            read = await client(stack, server)
            for patience in (gate := Gate()).short_timeouts(0.1):
                server.script("m", Answer("a b c", gate=gate, gate_after=1))
                with pytest.raises(httpx.ReadTimeout):
                    await read(asked, patience)
            await asyncio.to_thread(gate.wait_abandoned)
            server.forget()
            assert b"b" in await read(asked, None)

    asyncio.run(main())
