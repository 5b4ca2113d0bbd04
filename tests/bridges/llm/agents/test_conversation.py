"""Conversations: in memory, kept by their names, and what becomes of them when a run fails."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from llmspell_bridges import BridgeError, RunState
from llmspell_testkit.model_server import Answer, Gate, ModelServer, Refusal
from tests.bridges.host import Host
from tests.bridges.llm.agents.host import agent_host, handle
from tests.bridges.llm.agents.test_run import asks, told


async def begin(host: Host, name: str | None = None, **options: Any) -> tuple[int, dict[str, int]]:
    """A new agent, and a conversation for it."""
    agent = await host.call("llm.agent", options)
    given = [] if name is None else [{"name": name}]
    return agent, handle(await host.call("llm.conversation", *given))


def test_an_agent_remembers_what_was_said(server: ModelServer) -> None:
    server.script("m", Answer("Hello Ada!"), asks("calculator", {"expression": "1+1"}), Answer("2"))
    host = agent_host(server)

    async def work() -> Any:
        agent, chat = await begin(host, system="Be short.", tools=["calculator"])
        await host.call("llm.agent.run_with_context", agent, "I am Ada", chat)
        await host.call("llm.agent.run_with_context", agent, "1+1?", chat)
        turns = await host.call("llm.conversation.messages", chat["@object"])
        await host.call("llm.agent.run_with_context", agent, "Who am I?", chat)
        return turns

    assert host.run(work) == [
        {"role": "user", "content": "I am Ada"},
        {"role": "assistant", "content": "Hello Ada!"},
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "2"},
    ]
    assert [role for role, _ in told(server)] == [
        "system", "user", "assistant", "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip


def test_a_conversation_that_is_cleared_is_empty(server: ModelServer) -> None:
    server.script("m", Answer("one"), Answer("two"))
    host = agent_host(server)

    async def work() -> None:
        agent, chat = await begin(host)
        await host.call("llm.agent.run_with_context", agent, "first", chat)
        await host.call("llm.conversation.clear", chat["@object"])
        await host.call("llm.agent.run_with_context", agent, "second", chat)

    host.run(work)
    assert told(server) == [("user", "second")]


def test_a_stream_may_be_part_of_a_conversation(server: ModelServer) -> None:
    server.script("m", Answer("one"), Answer("two"))
    host = agent_host(server)

    async def work() -> None:
        agent, chat = await begin(host)
        await host.drain("llm.agent.run_stream", agent, "first", chat)
        await host.drain("llm.agent.run_stream", agent, "second", chat)

    host.run(work)
    assert told(server) == [("user", "first"), ("assistant", "one"), ("user", "second")]


@pytest.mark.attack("B27")
def test_what_fails_or_is_cancelled_leaves_no_trace_in_a_conversation(server: ModelServer) -> None:
    gate = Gate()
    server.script(
        "m",
        Answer("one"),
        Refusal(401, "no"),
        asks("calculator", {"expression": "1"}),
        Answer("never", gate=gate),
        Answer("two"),
    )
    host = agent_host(server)

    async def work() -> None:
        agent, chat = await begin(host, tools=["calculator"])
        await host.call("llm.agent.run_with_context", agent, "first", chat)
        with pytest.raises(BridgeError):
            await host.call("llm.agent.run_with_context", agent, "fails", chat)
        task = asyncio.ensure_future(host.call("llm.agent.run_with_context", agent, "held", chat))
        await asyncio.to_thread(gate.wait_reached)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await host.call("llm.agent.run_with_context", agent, "second", chat)

    host.run(work)
    assert told(server) == [("user", "first"), ("assistant", "one"), ("user", "second")]


def test_a_named_conversation_outlives_the_run(server: ModelServer, tmp_path: Path) -> None:
    server.script("m", Answer("one"), Answer("two"))
    for text in ("first", "second"):
        host = agent_host(server, settings={"conversations": str(tmp_path)})

        async def work(host: Host = host, text: str = text) -> None:
            agent, chat = await begin(host, "diary")
            await host.call("llm.agent.run_with_context", agent, text, chat)

        host.run(work)
    assert told(server) == [("user", "first"), ("assistant", "one"), ("user", "second")]
    kept = tmp_path / "conversations.sqlite"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.attack("B29")
def test_another_spell_does_not_find_it(server: ModelServer, tmp_path: Path) -> None:
    server.script("m", Answer("a secret"), Answer("hm"))
    host = agent_host(server, settings={"conversations": str(tmp_path)})

    async def work() -> Any:
        agent, chat = await begin(host, "diary")
        await host.call("llm.agent.run_with_context", agent, "first", chat)
        await host.context.run.close()
        host.context = replace(host.context, spell="other.lua", run=RunState())
        found = []
        for name in ("diary", "test.lua\ndiary", "../diary"):
            try:
                _, chat = await begin(host, name)
            except BridgeError as error:
                found.append(error.kind)
            else:
                found.append(await host.call("llm.conversation.messages", chat["@object"]))
        return found

    assert host.run(work) == [[], "Validation", []]


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("diary", {}, "Configuration"),
        ("", {"conversations": "/"}, "Validation"),
        ("x" * 101, {"conversations": "/"}, "Validation"),
        ("diary", {"conversations": "/nowhere/at/all"}, "Configuration"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused(
    name: str, settings: Any, kind: str, server: ModelServer
) -> None:
    host = agent_host(server, settings=settings)
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: begin(host, name))
    assert caught.value.kind == kind


def test_a_conversation_has_an_end(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_bridges.llm.agents._conversation.MAX_BYTES", 100)
    server.script("m", Answer("x" * 200))
    host = agent_host(server)

    async def work() -> BridgeError:
        agent, chat = await begin(host)
        await host.call("llm.agent.run_with_context", agent, "first", chat)
        with pytest.raises(BridgeError) as caught:
            await host.call("llm.agent.run_with_context", agent, "second", chat)
        return caught.value

    assert host.run(work).kind == "Limit"


def test_two_agents_do_not_talk_into_the_same_conversation(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("one", gate=gate), Answer("two"))
    host = agent_host(server)

    async def work() -> None:
        agent, chat = await begin(host)
        first = asyncio.ensure_future(host.call("llm.agent.run_with_context", agent, "a", chat))
        await asyncio.to_thread(gate.wait_reached)
        for call in (
            host.call("llm.agent.run_with_context", agent, "b", chat),
            host.drain("llm.agent.run_stream", agent, "b", chat),
            host.call("llm.conversation.clear", chat["@object"]),
        ):
            with pytest.raises(BridgeError) as caught:
                await call
            assert (caught.value.kind, caught.value.field) == ("Validation", "context")
        gate.open()
        await first
        await host.call("llm.agent.run_with_context", agent, "c", chat)

    host.run(work)
    assert told(server) == [("user", "a"), ("assistant", "one"), ("user", "c")]


def test_an_agent_is_no_conversation(server: ModelServer) -> None:
    host = agent_host(server)

    async def work() -> None:
        agent = await host.call("llm.agent", {})
        await host.call("llm.agent.run_with_context", agent, "Hi", handle(agent))

    with pytest.raises(BridgeError) as caught:
        host.run(work)
    assert (caught.value.kind, caught.value.field) == ("Validation", "context")
