"""Several agents: as tools, taking over, at the same time; and functions that watch them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_testkit.model_server import Answer, Gate, ModelServer, Refusal
from tests.bridges.llm.agents.host import agent_host, ask, failure, function, handle, pass_turns
from tests.bridges.llm.agents.test_run import asks, told


def test_an_agent_is_a_tool_of_another(server: ModelServer) -> None:
    server.script(
        "m", asks("poet", {"input": "owls"}), Answer("Hoo."), Answer("The poet says: Hoo.")
    )
    host = agent_host(server)

    async def work() -> Any:
        poet = await host.call("llm.agent", {"name": "poet", "system": "Rhyme."})
        return await ask(host, "A poem", name="boss", tools=[handle(poet)])

    answer = host.run(work)
    assert (answer["content"], answer["agent"], answer["turns"]) == (
        "The poet says: Hoo.",
        "boss",
        2,
    )
    assert answer["usage"]["total_tokens"] == 36  # the poet's included
    assert told(server, 1) == [("system", "Rhyme."), ("user", "owls")]
    assert told(server, 2)[-1] == ("tool", "Hoo.")


def test_an_agent_that_fails_as_a_tool_is_told_to_the_other(server: ModelServer) -> None:
    server.script("m", asks("poet", {"input": "owls"}), Refusal(500, "no ink"), Answer("Alas."))
    host = agent_host(server)

    async def work() -> Any:
        poet = await host.call("llm.agent", {"name": "poet"})
        return await ask(host, tools=[handle(poet)])

    assert host.run(work)["content"] == "Alas."
    assert told(server)[-1] == ("tool", "error: Provider: test/m: no ink")


def test_an_agent_hands_over_to_another(server: ModelServer) -> None:
    server.script("m", asks("transfer_to_Sales-Desk", "{}"), Answer("Three francs."))
    host = agent_host(server)

    async def work() -> Any:
        sales = await host.call(
            "llm.agent", {"name": "Sales-Desk", "system": "Sell.", "description": "knows prices"}
        )
        return await ask(host, "How much?", name="desk", handoffs=[handle(sales)])

    answer = host.run(work)
    assert (answer["agent"], answer["content"]) == ("Sales-Desk", "Three francs.")
    offered = server.requests[0].body["tools"][0]["function"]
    assert "knows prices" in offered["description"]
    assert told(server, 1)[:2] == [("system", "Sell."), ("user", "How much?")]


def test_several_agents_work_at_the_same_time(server: ModelServer) -> None:
    first, second = Gate(), Gate()
    server.script("one", Answer("1", gate=first))
    server.script("two", Answer("2", gate=second))
    host = agent_host(server)

    async def work() -> Any:
        agents = [await host.call("llm.agent", {"model": f"test/{n}"}) for n in ("one", "two")]
        tasks = [{"agent": handle(agent), "input": "Hi"} for agent in agents]
        answers = asyncio.ensure_future(host.call("llm.parallel", tasks))
        await asyncio.to_thread(first.wait_reached)
        await asyncio.to_thread(second.wait_reached)  # while the first is still held
        second.open()
        first.open()
        return await answers

    assert [answer["content"] for answer in host.run(work)] == ["1", "2"]


def test_the_first_that_fails_ends_the_others(server: ModelServer) -> None:
    gate = Gate()
    server.script("slow", Answer("never", gate=gate))
    server.script("bad", Refusal(401, "bad key"))
    host = agent_host(server)

    async def work() -> None:
        agents = [await host.call("llm.agent", {"model": f"test/{n}"}) for n in ("slow", "bad")]
        tasks = [{"agent": handle(agent), "input": "Hi"} for agent in agents]
        with pytest.raises(BridgeError) as caught:
            await host.call("llm.parallel", tasks)
        assert caught.value.kind == "Configuration"
        if gate.reached.is_set():
            await asyncio.to_thread(gate.wait_abandoned)

    host.run(work)


@pytest.mark.attack("B23")
def test_agents_that_use_each_other_are_bounded_in_depth(server: ModelServer) -> None:
    host = agent_host(server)

    async def work() -> None:
        agent = await host.call("llm.agent", {"name": "a0"})
        for level in range(1, 20):
            agent = await host.call("llm.agent", {"name": f"a{level}", "tools": [handle(agent)]})

    with pytest.raises(BridgeError, match="more than 8 levels"):
        host.run(work)


def test_a_guardrail_on_input_refuses_before_the_model_is_asked(server: ModelServer) -> None:

    async def slowly(text: str) -> str:
        await pass_turns()
        return "say please"

    rails = {"input": [function(1)]}
    error = failure(agent_host(server, slowly), "Hi", guardrails=rails)
    assert (error.kind, error.field) == ("Validation", "input")
    assert error.message == "agent: a guardrail refuses the input: say please"
    assert server.requests == []
    server.script("m", Answer("Hello!"))
    host = agent_host(server, lambda text: True if "please" in text else "say please")
    assert host.run(lambda: ask(host, "Hi, please", guardrails=rails))["content"] == "Hello!"


def test_a_guardrail_on_output_looks_at_the_answer(server: ModelServer) -> None:
    server.script("m", Answer("a secret"), Answer("fine"))
    host = agent_host(server, lambda text: "secret" not in text)
    rails = {"output": [function(1)]}
    error = failure(host, guardrails=rails)
    assert (error.kind, error.field) == ("Validation", "output")
    host = agent_host(server, lambda text: "secret" not in text)
    assert host.run(lambda: ask(host, guardrails=rails))["content"] == "fine"


@pytest.mark.parametrize("verdict", [None, False, 1, "", []])
def test_a_guardrail_that_does_not_say_true_refuses(verdict: Any, server: ModelServer) -> None:
    error = failure(agent_host(server, lambda _: verdict), guardrails={"input": [function(1)]})
    assert (error.kind, error.field) == ("Validation", "input")
    assert server.requests == []


def test_a_guardrail_that_fails_refuses(server: ModelServer) -> None:
    def broken(_: str) -> None:
        raise BridgeError("Script", "oops")

    error = failure(agent_host(server, broken), guardrails={"input": [function(1)]})
    assert (error.kind, error.message) == ("Script", "oops")
    assert server.requests == []
