"""Agents: turns, tools over the wire, structured answers, limits, errors, money."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llmspell_bridges import BridgeError, BudgetExceeded
from llmspell_testkit.model_server import Answer, Bytes, Gate, ModelServer, Refusal
from tests.bridges.llm.agents.host import agent_host, ask, failure, function, handle

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
    "handler": function(1),
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def weather(arguments: dict[str, str]) -> str:
    """What the spell's function says."""
    return f"sun in {arguments['city']}"


def asks(name: str, arguments: Any, **more: Any) -> Answer:
    """The model asks for a tool."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Answer("", tool_calls=((name, text),), **more)


def told(server: ModelServer, request: int = -1) -> list[tuple[str, str]]:
    """Roles and contents of what a request to the model said."""
    messages = server.requests[request].body["messages"]
    return [(m["role"], m.get("content") or "") for m in messages]


def test_an_agent_without_tools_answers_in_one_turn(server: ModelServer) -> None:
    server.script("m", Answer("Hello!", prompt_tokens=9, completion_tokens=4))
    host = agent_host(server)
    answer = host.run(lambda: ask(host, "Hi", system="Be short.", temperature=0.5, max_tokens=50))
    assert answer == {
        "content": "Hello!",
        "agent": "agent",
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
        "cost": None,
        "model": "m",
        "provider": "test",
        "finish_reason": "stop",
        "turns": 1,
        "tool_calls": [],
    }
    assert told(server) == [("system", "Be short."), ("user", "Hi")]
    body = server.requests[0].body
    assert (body["temperature"], body["max_tokens"], body.get("tools")) == (0.5, 50, None)


def test_a_function_of_the_spell_is_a_tool_over_the_wire(server: ModelServer) -> None:
    server.script("m", asks("weather", {"city": "Bern"}), Answer("It is sunny."))
    host = agent_host(server, weather)
    answer = host.run(lambda: ask(host, "Weather?", tools=[WEATHER]))
    assert (answer["content"], answer["turns"]) == ("It is sunny.", 2)
    assert answer["usage"]["total_tokens"] == 24
    assert answer["tool_calls"] == [
        {"name": "weather", "arguments": {"city": "Bern"}, "output": "sun in Bern", "ok": True}
    ]
    offered = server.requests[0].body["tools"][0]["function"]
    assert offered == {
        "name": "weather",
        "description": "the weather in a city",
        "parameters": {**WEATHER["parameters"], "additionalProperties": False},
    }
    call = server.requests[1].body["messages"][1]["tool_calls"][0]
    assert call["function"] == {"name": "weather", "arguments": '{"city":"Bern"}'}
    result = server.requests[1].body["messages"][2]
    assert result == {"role": "tool", "tool_call_id": call["id"], "content": "sun in Bern"}


def test_several_tools_of_one_answer_are_all_answered(server: ModelServer) -> None:
    calls = (("weather", '{"city": "Bern"}'), ("calculator", '{"expression": "6 * 7"}'))
    server.script("m", Answer("", tool_calls=calls), Answer("done"))
    host = agent_host(server, weather)
    host.run(lambda: ask(host, tools=["calculator", WEATHER]))
    results = {m["tool_call_id"]: m["content"] for m in server.requests[1].body["messages"][2:]}
    assert results == {"call_0": "sun in Bern", "call_1": "42"}


def test_identifiers_that_a_server_repeats_are_told_apart(server: ModelServer) -> None:
    """The scripted server numbers the calls of every answer from 0."""
    towns = ["Bern", "Chur", "Bern"]
    server.script("m", *(asks("weather", {"city": town}) for town in towns), Answer("done"))
    host = agent_host(server, weather)
    answer = host.run(lambda: ask(host, tools=[WEATHER]))
    assert [use["arguments"]["city"] for use in answer["tool_calls"]] == towns
    ids = [m["tool_call_id"] for m in server.requests[-1].body["messages"] if m["role"] == "tool"]
    assert len(set(ids)) == 3


@pytest.mark.attack("B25")
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("weather", {}, "error: Validation: weather: city: is required and missing"),
        ("weather", {"city": 1}, "error: Validation: weather: city: must be string, not integer"),
        (
            "weather",
            {"city": "x", "host": "evil"},
            "error: Validation: weather: host: is not known",
        ),
        ("weather", '{"city": ', "error: Validation: weather: must be object, not string"),
        ("Weather", {"city": "x"}, "Tool 'Weather' not found."),
        ("weather ", {"city": "x"}, "Tool 'weather ' not found."),
        ("calculator", {"expression": "1/0"}, "Tool 'calculator' not found."),
    ],
)
def test_a_wrong_tool_call_is_told_to_the_model(
    name: str, arguments: Any, said: str, server: ModelServer
) -> None:
    server.script("m", asks(name, arguments), Answer("I see."))
    called: list[Any] = []
    host = agent_host(server, called.append)
    assert host.run(lambda: ask(host, tools=[WEATHER]))["content"] == "I see."
    assert told(server)[-1] == ("tool", said)
    assert called == []


def test_a_tool_that_fails_is_told_to_the_model(server: ModelServer) -> None:
    server.script("m", asks("calculator", {"expression": "1/0"}), Answer("No value."))
    host = agent_host(server)
    answer = host.run(lambda: ask(host, tools=["calculator"]))
    expected = "error: Validation: expression: has no value: division by zero"
    assert told(server)[-1] == ("tool", expected)
    assert answer["tool_calls"][0]["ok"] is False


def test_a_tool_s_result_is_text_or_json_and_bounded(server: ModelServer) -> None:
    tools = [{**WEATHER, "name": name, "handler": function(i)} for i, name in ((1, "a"), (2, "b"))]
    calls = tuple((name, '{"city": "x"}') for name in ("a", "b"))
    server.script("m", Answer("", tool_calls=calls), Answer("done"))
    host = agent_host(server, lambda _: {"a": [1, None]}, lambda _: "x" * 1_000_000)
    answer = host.run(lambda: ask(host, tools=tools))
    by_id = {m["tool_call_id"]: m["content"] for m in server.requests[1].body["messages"][2:]}
    assert by_id["call_0"] == '{"a":[1,null]}'
    assert len(by_id["call_1"]) < 300_000
    assert by_id["call_1"].endswith("[cut here]")
    assert len(answer["tool_calls"][1]["output"]) == 2000


def test_tools_are_listed_as_the_model_asked_for_them(server: ModelServer) -> None:
    tools = [{**WEATHER, "name": name, "handler": function(i)} for i, name in ((1, "a"), (2, "b"))]
    calls = tuple((name, '{"city": "x"}') for name in ("a", "b"))
    server.script("m", Answer("", tool_calls=calls), Answer("done"))
    second = asyncio.Event()

    async def wait(_given: Any) -> str:
        await second.wait()
        for _ in range(200):  # turns, in which the other one comes to its end
            await asyncio.sleep(0)
        return "of a, which ends last"

    def end(_: Any) -> str:
        second.set()
        return "of b"

    host = agent_host(server, wait, end)
    answer = host.run(lambda: ask(host, tools=tools))
    assert [use["name"] for use in answer["tool_calls"]] == ["a", "b"]


def test_turns_are_bounded(server: ModelServer) -> None:
    server.script("m", *[asks("weather", {"city": "x"})] * 3)
    error = failure(agent_host(server, weather), tools=[WEATHER], max_turns=3)
    assert (error.kind, error.field) == ("Limit", "max_turns")
    assert error.message == "agent: no answer within 3 turns (max_turns)"
    assert len(server.requests) == 3


def test_an_answer_that_asks_for_thousands_of_tools_is_refused(server: ModelServer) -> None:
    server.script("m", Answer("", tool_calls=(("weather", '{"city": "x"}'),) * 65))
    called: list[Any] = []
    error = failure(agent_host(server, called.append), tools=[WEATHER])
    assert (error.kind, called) == ("Limit", [])


def test_a_structured_answer_arrives_as_data(server: ModelServer) -> None:
    server.script("m", asks("calculator", {"expression": "1+2"}), Answer('{"n": 3}'))
    host = agent_host(server)
    answer = host.run(lambda: ask(host, output_schema=SCHEMA, tools=["calculator"]))
    assert (answer["data"], answer["content"]) == ({"n": 3}, '{"n": 3}')
    asked = server.requests[0].body["response_format"]
    assert asked == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"n": "3"}', "agent: answer: n: must be integer, not string (output_schema)"),
        ("three", "agent: the answer is not JSON: *"),
    ],
)
def test_a_structured_answer_that_does_not_fit_is_an_error(
    text: str, message: str, server: ModelServer
) -> None:
    server.script("m", Answer(text))
    error = failure(agent_host(server), output_schema=SCHEMA)
    assert (error.kind, error.field, error.retryable) == ("Serialization", "output_schema", True)
    assert error.message.startswith(message.rstrip("*"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Refusal(500, "the stars are wrong"), "Provider"),
        (Refusal(401, "bad key"), "Configuration"),
        (Refusal(429, "slow down", retry_after=2.5), "RateLimit"),
        (Bytes(b"<html>"), "Serialization"),
    ],
)
def test_errors_of_the_model_keep_their_kind(answer: Any, kind: str, server: ModelServer) -> None:
    server.script("m", answer)
    error = failure(agent_host(server))
    assert error.kind == kind
    assert error.message.startswith("test/m: ")
    assert error.retry_after == (2.5 if kind == "RateLimit" else None)


def test_a_call_of_the_model_is_repeated_by_one_layer(server: ModelServer) -> None:
    server.script("m", *[Refusal(500, "no")] * 2, Answer("at last"))
    host = agent_host(server)
    retries = {"attempts": 3, "base_delay": 0}
    assert host.run(lambda: ask(host, retries=retries))["content"] == "at last"
    assert len(server.requests) == 3


def test_a_call_of_the_model_is_given_up_after_its_timeout(server: ModelServer) -> None:
    server.script("m", Answer("never", gate=Gate()))
    error = failure(agent_host(server), timeout=0.2)
    assert (error.kind, error.duration) == ("Timeout", 0.2)


@pytest.mark.attack("B23")
def test_the_budget_of_the_run_ends_an_agent_in_its_loop(server: ModelServer) -> None:
    server.script("m", *[asks("weather", {"city": "x"}, prompt_tokens=300)] * 20)
    host = agent_host(server, weather, max_tokens=1500)
    with pytest.raises(BudgetExceeded):
        host.run(lambda: ask(host, tools=[WEATHER], max_tokens=20, max_turns=50))
    assert len(server.requests) < 7
    assert host.usage.prompt_tokens + host.usage.completion_tokens <= 1500


@pytest.mark.attack("B23")
def test_a_sub_agent_spends_the_budget_of_the_run(server: ModelServer) -> None:
    server.script("m", asks("helper", {"input": "Go"}, prompt_tokens=900), Answer("never"))
    host = agent_host(server, max_tokens=1000)

    async def work() -> None:
        helper = await host.call("llm.agent", {"name": "helper", "max_tokens": 200})
        await ask(host, tools=[handle(helper)], max_tokens=10)

    with pytest.raises(BudgetExceeded):
        host.run(work)
    assert len(server.requests) == 1


def test_a_cancelled_agent_hangs_up(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("never", gate=gate))
    host = agent_host(server)

    async def work() -> None:
        task = asyncio.ensure_future(ask(host))
        await asyncio.to_thread(gate.wait_reached)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(gate.wait_abandoned)

    host.run(work)


def test_an_agent_says_what_tools_it_has(server: ModelServer) -> None:
    host = agent_host(server)

    async def work() -> Any:
        helper = await host.call("llm.agent", {"name": "helper", "description": "helps"})
        agent = await host.call("llm.agent", {"tools": ["calculator", WEATHER, handle(helper)]})
        return await host.call("llm.agent.tools", agent)

    found = host.run(work)
    assert [(t["name"], t["source"]) for t in found] == [
        ("calculator", "builtin"),
        ("weather", "spell"),
        ("helper", "agent"),
    ]
    assert found[2]["description"] == "helps"
    assert found[1]["parameters"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("options", "valid"),
    [
        ({"tools": ["calculator"]}, {"valid": True}),
        (
            {"tools": ["web_search"]},
            {
                "valid": False,
                "field": "tools",
                "message": "web_search: nobody searches: set search_provider under [tools] in the"
                " config file",
            },
        ),
        (
            {"model": "other/model"},
            {
                "valid": False,
                "field": "model",
                "message": "the model other/model is not granted to this spell (granted: test/*)",
            },
        ),
    ],
)
def test_validate_asks_nobody(options: Any, valid: Any, server: ModelServer) -> None:
    settings = {"providers": {n: {"base_url": server.base_url} for n in ("test", "other")}}
    host = agent_host(server, settings=settings, allow_models=("test/*",))

    async def work() -> Any:
        return await host.call("llm.agent.validate", await host.call("llm.agent", options))

    assert host.run(work) == valid
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"tool": []}, "tool", "did you mean 'tools'?"),
        ({"temperature": 3}, "temperature", ""),
        ({"max_turns": 0}, "max_turns", ""),
        ({"name": "a b"}, "name", ""),
        ({"tools": ["calculater"]}, "tools[0]", "did you mean 'calculator'?"),
        ({"tools": [{"name": "x"}]}, "tools[0].handler", "a map with name and handler"),
        ({"tools": [{"handler": {"@function": 1}}]}, "tools[0].name", "a map with name"),
        ({"tools": [{**WEATHER, "name": "no way"}]}, "tools[0].name", "letters, digits"),
        ({"tools": [{**WEATHER, "parameters": {"type": "list"}}]}, "tools[0].parameters.type", ""),
        ({"tools": [WEATHER, WEATHER]}, "tools", "two tools 'weather'"),
        ({"tools": [WEATHER, {**WEATHER, "name": "Weather"}]}, "tools", "looks alike"),
        ({"tools": [{"@object": 9}]}, "tools[0]", "nothing of this run"),
        ({"handoffs": [{"@object": 9}]}, "handoffs[0]", "nothing of this run"),
        ({"output_schema": {"type": "sting"}}, "output_schema.type", "not a JSON Schema"),
        ({"guardrails": {"in": []}}, "guardrails.in", ""),
    ],
)
def test_options_that_are_wrong_are_named(
    options: Any, field: str, message: str, server: ModelServer
) -> None:
    error = failure(agent_host(server), **options)
    assert (error.kind, error.field) == ("Validation", field)
    assert message in error.message
    assert server.requests == []


def test_tools_by_name_need_the_bridge_tools(server: ModelServer) -> None:
    host = agent_host(server, bridges=("llm",))
    error = failure(host, tools=["calculator"])
    assert (error.kind, error.message) == (
        "Policy",
        "the bridge tools is not granted to this spell: --allow-bridge tools",
    )
    server.script("m", Answer("Hi"))
    assert host.run(lambda: ask(host, tools=[WEATHER]))["content"] == "Hi"


def test_a_registered_tool_is_found_by_its_name(server: ModelServer) -> None:
    server.script("m", asks("weather", {"city": "Bern"}), Answer("done"))
    host = agent_host(server, weather)

    async def work() -> Any:
        await host.call("tools.register", WEATHER)
        with pytest.raises(BridgeError, match="there is a tool 'weather'"):
            await host.call("tools.register", WEATHER)
        assert await host.call("tools.call", "weather", {"city": "Chur"}) == "sun in Chur"
        return await ask(host, tools=["weather"])

    assert host.run(work)["tool_calls"][0]["output"] == "sun in Bern"
