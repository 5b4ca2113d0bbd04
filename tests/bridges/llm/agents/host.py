"""A host for agents under test, and functions of a spell that are Python's."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from llmspell_bridges import BridgeError, load
from llmspell_testkit.model_server import ModelServer
from tests.bridges.host import Host


class Functions:
    """Stands in for the worker: its functions are numbered from 1."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._functions = functions

    async def invoke(self, function: int, args: bytes) -> bytes:
        """Call one of them."""
        value = self._functions[function - 1](*msgspec.msgpack.decode(args))
        return msgspec.msgpack.encode(await value if inspect.isawaitable(value) else value)


def agent_host(
    server: ModelServer,
    *functions: Callable[..., Any],
    settings: dict[str, Any] | None = None,
    bridges: tuple[str, ...] = ("llm", "tools"),
    **policy: Any,
) -> Host:
    """A host whose model `test/m` is `server`, with functions that a spell might hand over."""
    llm = {
        "providers": {"test": {"base_url": server.base_url, "max_retries": 0}},
        "default_model": "test/m",
        **(settings or {}),
    }
    host = Host(load("llm", llm), load("tools"), allow_bridges=bridges, **policy)
    host.context = replace(host.context, script=Functions(*functions))
    return host


def function(number: int) -> dict[str, int]:
    """A function as it crosses."""
    return {"@function": number}


def handle(number: int) -> dict[str, int]:
    """An object as it crosses."""
    return {"@object": number}


async def pass_turns() -> None:
    """Let everything go on that can: other tasks, threads and sockets, for many turns of the loop."""
    for _ in range(1000):
        await asyncio.to_thread(int)


async def ask(host: Host, text: str = "Hi", **options: Any) -> Any:
    """What a new agent answers."""
    agent = await host.call("llm.agent", options)
    return await host.call("llm.agent.run", agent, text)


def failure(host: Host, text: str = "Hi", **options: Any) -> BridgeError:
    """How a new agent fails."""
    try:
        value = host.run(lambda: ask(host, text, **options))
    except BridgeError as error:
        return error
    raise AssertionError(f"it gave {value!r}")
