"""`agent.run_stream`: what happens as it happens, and its reader holds it back."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from llmspell_bridges import BridgeError
from llmspell_testkit.model_server import Answer, Gate, ModelServer, Refusal
from tests.bridges.llm.agents.host import agent_host, handle, pass_turns
from tests.bridges.llm.agents.test_run import WEATHER, asks, weather


def test_a_stream_tells_everything_in_order(server: ModelServer) -> None:
    sales = {"name": "sales", "tools": [WEATHER]}
    server.script(
        "m",
        asks("transfer_to_sales", "{}"),
        asks("weather", {"city": "Bern"}),
        Answer("It is sunny."),
    )
    host = agent_host(server, weather)

    async def work() -> Any:
        other = await host.call("llm.agent", sales)
        agent = await host.call("llm.agent", {"name": "desk", "handoffs": [handle(other)]})
        return await host.drain("llm.agent.run_stream", agent, "Weather?")

    chunks, answer = host.run(work)
    call = {"agent": "sales", "name": "weather"}
    assert [c for c in chunks if c["type"] != "text"] == [
        {"type": "handoff", "agent": "desk", "to": "sales"},
        {"type": "tool_call", "id": "call_0_2", "arguments": {"city": "Bern"}, **call},
        {"type": "tool_result", "id": "call_0_2", "output": "sun in Bern", **call},
    ]
    assert chunks[3:] == [
        {"type": "text", "agent": "sales", "content": piece} for piece in ("It", " is", " sunny.")
    ]
    assert (answer["content"], answer["agent"], answer["turns"]) == ("It is sunny.", "sales", 3)


def test_a_delta_is_there_while_the_model_still_answers(server: ModelServer) -> None:
    gate = Gate()
    server.script(
        "m", asks("weather", {"city": "x"}), Answer("first second", gate=gate, gate_after=1)
    )
    host = agent_host(server, weather)

    async def work() -> list[Any]:
        agent = await host.call("llm.agent", {"tools": [WEATHER]})
        stream = host.open("llm.agent.run_stream", agent, "Hi")
        before = [msgspec.msgpack.decode(await anext(stream)) for _ in range(3)]
        assert [c["type"] for c in before] == ["tool_call", "tool_result", "text"]
        assert before[2]["content"] == "first"  # the second is still behind the gate
        gate.open()
        return [msgspec.msgpack.decode(chunk)["content"] async for chunk in stream]

    assert host.run(work) == [" second"]


def test_a_reader_that_stops_hangs_up(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("a b c", gate=gate, gate_after=2))
    host = agent_host(server)

    async def work() -> None:
        agent = await host.call("llm.agent", {})
        stream = host.open("llm.agent.run_stream", agent, "Hi")
        await anext(stream)
        await stream.aclose()
        await asyncio.to_thread(gate.wait_abandoned)

    host.run(work)


def test_a_reader_that_waits_holds_the_agent_back(server: ModelServer) -> None:
    """The tool that the model asks for is not called before what came before it has been read."""
    called: list[Any] = []
    many = tuple(f"{n} " for n in range(50))
    calls = (("weather", '{"city": "x"}'),)
    server.script("m", Answer("", pieces=many, tool_calls=calls), Answer("done"))
    host = agent_host(server, called.append)

    async def work() -> None:
        agent = await host.call("llm.agent", {"tools": [WEATHER]})
        stream = host.open("llm.agent.run_stream", agent, "Hi")
        for _ in range(40):
            await anext(stream)
        await pass_turns()
        assert called == []
        async for _ in stream:
            pass
        assert called == [{"city": "x"}]

    host.run(work)


def test_a_failure_ends_the_stream_with_its_kind(server: ModelServer) -> None:
    server.script("m", asks("weather", {"city": "x"}), Refusal(401, "bad key"))
    host = agent_host(server, weather)

    async def work() -> list[str]:
        agent = await host.call("llm.agent", {"tools": [WEATHER]})
        seen: list[str] = []
        with pytest.raises(BridgeError) as caught:
            async for chunk in host.open("llm.agent.run_stream", agent, "Hi"):
                seen.append(msgspec.msgpack.decode(chunk)["type"])  # noqa: PERF401 - fails midway
        assert caught.value.kind == "Configuration"
        return seen

    assert host.run(work) == ["tool_call", "tool_result"]


def test_a_stream_goes_on_over_many_waits(server: ModelServer) -> None:
    gates = [Gate(), Gate()]
    server.script("m", *(Answer("", tool_calls=(("weather", '{"city": "x"}'),), gate=g) for g in gates), Answer("done"))  # fmt: skip
    host = agent_host(server, weather)

    async def work() -> Any:
        agent = await host.call("llm.agent", {"tools": [WEATHER]})
        stream = host.open("llm.agent.run_stream", agent, "Hi")
        for gate in gates:
            first = asyncio.ensure_future(anext(stream))
            await asyncio.to_thread(gate.wait_reached)
            gate.open()
            await first
            await anext(stream)
        return [msgspec.msgpack.decode(chunk)["content"] async for chunk in stream]

    assert host.run(work) == ["done"]
