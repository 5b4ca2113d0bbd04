"""Tokens and money: reserved before, settled after, never overdrawn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_bridges import BridgeError, BudgetExceeded
from llmspell_bridges.llm._budget import FLOOR, UNSTATED_UNKNOWN, Price, bound
from llmspell_testkit.model_server import Answer, Bytes, Gate, ModelServer, Refusal
from tests.bridges.host import Host, complete, llm_host

QUICK = {"base_delay": 0}


def priced(server: ModelServer, monkeypatch: pytest.MonkeyPatch, **policy: Any) -> Host:
    """A host on which `gpt-4o` costs what it costs, and the server plays it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    own = {"openai": {"base_url": server.base_url}}
    return llm_host(server, settings={"providers": own}, **policy)


def test_what_the_provider_reports_is_booked(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script("gpt-4o", Answer("x", prompt_tokens=1000, completion_tokens=100))
    host = priced(server, monkeypatch)
    found = complete(host, {"model": "gpt-4o", "prompt": "x"})
    assert found["cost"] == pytest.approx(1000 * 2.5e-6 + 100 * 1e-5)
    assert host.usage.cost == pytest.approx(found["cost"])
    assert (host.usage.prompt_tokens, host.usage.completion_tokens) == (1000, 100)
    assert host.budget.tokens_left == host.policy.max_tokens - 1100
    assert host.budget.cost_left == pytest.approx(host.policy.max_cost - found["cost"])


def test_more_tokens_than_are_left_are_never_asked_for(server: ModelServer) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        complete(llm_host(server), {"model": "test/m", "prompt": "x", "max_tokens": 1_000_000_000})
    assert caught.value.what == "tokens"
    assert server.requests == []


def test_more_money_than_is_left_is_never_spent(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = priced(server, monkeypatch, max_cost=0.01)
    with pytest.raises(BudgetExceeded) as caught:
        complete(host, {"model": "gpt-4o", "prompt": "x", "max_tokens": 2000})
    assert caught.value.what == "cost"
    assert server.requests == []


def test_a_call_without_a_limit_gets_one_that_the_budget_can_pay(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = priced(server, monkeypatch, max_cost=0.02)
    complete(host, {"model": "gpt-4o", "prompt": "x"})
    assert FLOOR <= server.requests[0].body["max_tokens"] <= 500


def test_calls_at_once_cannot_pass_the_check_together(server: ModelServer) -> None:
    gates = [Gate() for _ in range(3)]
    server.script("m", *[Answer("x", gate=gate) for gate in gates])
    host = llm_host(server, max_tokens=3000)

    async def work() -> list[Any]:
        request = {"model": "test/m", "prompt": "x", "max_tokens": 1200}
        calls = [asyncio.create_task(host.call("llm.complete", request)) for _ in range(10)]
        for gate in gates[:2]:
            await asyncio.to_thread(gate.wait_reached)
            gate.open()
        return await asyncio.gather(*calls, return_exceptions=True)

    results = host.run(work)
    assert len([r for r in results if isinstance(r, BudgetExceeded)]) == 8
    assert len(server.requests) == 2


def test_calls_at_once_without_a_limit_all_find_room(server: ModelServer) -> None:
    host = llm_host(server, max_tokens=20_000)

    async def work() -> None:
        request = {"model": "test/m", "prompt": "x"}
        await asyncio.gather(*[host.call("llm.complete", request) for _ in range(10)])

    host.run(work)
    assert len(server.requests) == 10
    assert sum(r.body["max_tokens"] for r in server.requests) <= 20_000


def test_a_provider_that_counts_more_than_is_left_ends_the_run(server: ModelServer) -> None:
    server.script("m", Answer("x", completion_tokens=5000))
    host = llm_host(server, max_tokens=1000)
    with pytest.raises(BudgetExceeded):
        complete(host, {"model": "test/m", "prompt": "x", "max_tokens": 10})
    assert host.usage.completion_tokens == 5000


def test_a_refused_call_costs_nothing(server: ModelServer) -> None:
    server.script("m", Refusal(500), Refusal(429), Answer("x"))
    host = llm_host(server)
    complete(host, {"model": "test/m", "prompt": "x", "retries": QUICK})
    assert (host.usage.prompt_tokens, host.usage.completion_tokens) == (7, 5)


def test_a_call_that_was_given_up_is_booked_by_estimate(server: ModelServer) -> None:
    server.script("m", Answer("late", gate=Gate()))
    host = llm_host(server)
    request = {"model": "test/m", "prompt": "x" * 100, "timeout": 0.2, "retries": {"attempts": 1}}
    with pytest.raises(BridgeError):
        complete(host, request)
    assert host.usage.prompt_tokens >= 50
    assert host.budget.tokens_left == host.policy.max_tokens - host.usage.prompt_tokens


def test_a_cancelled_stream_is_booked_by_what_it_brought(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("word " * 50, gate=gate, gate_after=20))
    host = llm_host(server)

    async def work() -> None:
        stream = host.open("llm.stream", {"model": "test/m", "prompt": "x"})
        for _ in range(10):
            await anext(stream)
        await stream.aclose()

    host.run(work)
    assert host.usage.completion_tokens >= 20
    spent = host.usage.prompt_tokens + host.usage.completion_tokens
    assert host.budget.tokens_left == host.policy.max_tokens - spent


def test_an_answer_that_cannot_be_read_gives_its_reservation_back(server: ModelServer) -> None:
    server.script("m", Bytes(b"{}"))
    host = llm_host(server)
    with pytest.raises(BridgeError):
        complete(host, {"model": "test/m", "prompt": "x", "retries": {"attempts": 1}})
    assert host.budget.tokens_left == host.policy.max_tokens - host.usage.prompt_tokens


def test_a_model_of_unknown_size_is_not_asked_for_more_than_its_context() -> None:
    host = Host()
    assert bound(host.context, 10, None, Price()).completion == UNSTATED_UNKNOWN


def test_a_limit_of_the_call_is_taken_as_it_is() -> None:
    host = Host(max_tokens=10)
    assert bound(host.context, 1, 1_000_000, Price()).completion == 1_000_000
