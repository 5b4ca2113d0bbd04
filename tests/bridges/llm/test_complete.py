"""`llm.complete` through the real litellm, against a real server."""

from __future__ import annotations

import asyncio
import json

import pytest

from llmspell_bridges import BridgeError
from llmspell_testkit.model_server import Answer, Gate, ModelServer, Refusal
from tests.bridges.host import complete, llm_host

QUICK = {"base_delay": 0}


def test_a_plain_string_is_one_user_message(server: ModelServer) -> None:
    host = llm_host(server, settings={"default_model": "test/echo"})
    assert complete(host, "say hello")["content"] == "say hello"
    assert server.requests[0].body["messages"] == [{"role": "user", "content": "say hello"}]


def test_the_answer_has_the_documented_shape(server: ModelServer) -> None:
    server.script("m", Answer("fine", prompt_tokens=11, completion_tokens=3))
    found = complete(llm_host(server), {"model": "test/m", "prompt": "how are you"})
    metadata = found.pop("metadata")
    assert found == {
        "content": "fine",
        "message": {"role": "assistant", "content": "fine"},
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
        "cost": None,
        "model": "m",
        "provider": "test",
        "finish_reason": "stop",
    }
    assert metadata["id"] == "chatcmpl-1"
    assert metadata["created"] == 1_700_000_000
    assert metadata["attempts"] == 1
    assert metadata["latency_ms"] >= 0


def test_every_option_reaches_the_provider(server: ModelServer) -> None:
    request = {
        "model": "test/m",
        "messages": [
            {"role": "system", "content": "be brief", "metadata": {"mine": 1}},
            {"role": "user", "content": "hi", "name": "ada"},
        ],
        "temperature": 0.25,
        "max_tokens": 17,
        "stop": "END",
        "top_p": 0.5,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "extra": {"top_k": 3},
    }
    complete(llm_host(server), request)
    sent = server.requests[0].body
    assert sent == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi", "name": "ada"},
        ],
        "temperature": 0.25,
        "max_tokens": 17,
        "stop": ["END"],
        "top_p": 0.5,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "top_k": 3,
    }


def test_stop_sequences_is_another_name_for_stop(server: ModelServer) -> None:
    complete(llm_host(server), {"model": "test/m", "prompt": "x", "stop_sequences": ["a", "b"]})
    assert server.requests[0].body["stop"] == ["a", "b"]


def test_tools_go_out_and_tool_calls_come_back(server: ModelServer) -> None:
    server.script("m", Answer(None, tool_calls=(("add", '{"a": 1, "b": [2]}'), ("broken", "{no"))))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    request = {
        "model": "test/m",
        "prompt": "add",
        "tools": [{"name": "add", "description": "adds", "parameters": schema}],
        "tool_choice": "add",
    }
    found = complete(llm_host(server), request)
    sent = server.requests[0].body
    function = {"name": "add", "description": "adds", "parameters": schema}
    assert sent["tools"] == [{"type": "function", "function": function}]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert found["content"] == ""
    assert found["finish_reason"] == "tool_calls"
    assert found["tool_calls"] == found["message"]["tool_calls"]
    assert found["tool_calls"] == [
        {"id": "call_0", "name": "add", "arguments": {"a": 1, "b": [2]}},
        {"id": "call_1", "name": "broken", "arguments": "{no"},
    ]


def test_an_answer_can_be_sent_back_with_the_result_of_its_tool(server: ModelServer) -> None:
    server.script("m", Answer("", tool_calls=(("add", '{"a": 1}'), ("now", "{}"))))
    host = llm_host(server)

    async def work() -> None:
        question = {"role": "user", "content": "add"}
        first = await host.call("llm.complete", {"model": "test/m", "messages": [question]})
        result = {"role": "tool", "tool_call_id": "call_0", "content": "3"}
        first["message"]["tool_calls"][1]["arguments"] = []  # what Lua makes of an empty map
        conversation = [question, first["message"], result]
        await host.call("llm.complete", {"model": "test/m", "messages": conversation})

    host.run(work)
    _, assistant, tool = server.requests[1].body["messages"]
    functions = [call["function"] for call in assistant["tool_calls"]]
    assert [json.loads(f["arguments"]) for f in functions] == [{"a": 1}, {}]
    assert tool == {"role": "tool", "tool_call_id": "call_0", "content": "3"}


def test_an_image_goes_out_as_a_data_url(server: ModelServer) -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image", "data": b"\x89PNG", "mime": "image/png"},
        {"type": "image", "data": "iVBORw==", "mime": "image/webp"},
        {"type": "image", "url": "data:image/gif;base64,R0lGODlh"},
    ]
    found = complete(
        llm_host(server), {"model": "test/m", "messages": [{"role": "user", "content": parts}]}
    )
    assert found["content"].startswith("what is this?")
    sent = server.requests[0].body["messages"][0]["content"]
    assert [p.get("image_url", {}).get("url") for p in sent] == [
        None,
        "data:image/png;base64,iVBORw==",
        "data:image/webp;base64,iVBORw==",
        "data:image/gif;base64,R0lGODlh",
    ]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://evil.example/x.png", "Policy"),
        ("http://pictures.example/x.png", "Policy"),
        ("https://127.0.0.1/x.png", "Policy"),
        ("https://pictures.example@evil.example/x.png", "Validation"),
        ("https://pictures.example\\@evil.example/x.png", "Validation"),
        ("file:///etc/passwd", "Validation"),
        ("data:text/html,x", "Validation"),
    ],
)
def test_an_image_from_an_address_that_is_not_granted_is_refused(
    server: ModelServer, url: str, kind: str
) -> None:
    host = llm_host(server, allow_domain=("pictures.example",))
    content = [{"type": "image", "url": url}]
    with pytest.raises(BridgeError) as caught:
        complete(host, {"model": "test/m", "messages": [{"role": "user", "content": content}]})
    assert caught.value.kind == kind
    assert caught.value.field == "messages[0].content[0].url"
    assert server.requests == []


def test_an_image_from_a_granted_address_is_left_to_the_provider(server: ModelServer) -> None:
    host = llm_host(server, allow_domain=("*.example",))
    content = [{"type": "image", "url": "https://pictures.example/x.png"}]
    complete(host, {"model": "test/m", "messages": [{"role": "user", "content": content}]})
    part = server.requests[0].body["messages"][0]["content"][0]
    assert part["image_url"]["url"] == "https://pictures.example/x.png"


def test_a_schema_asks_for_json_and_the_answer_is_read(server: ModelServer) -> None:
    server.script("m", Answer('{"city": "Oslo", "size": 2}'))
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    found = complete(llm_host(server), {"model": "test/m", "prompt": "x", "schema": schema})
    sent = server.requests[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == schema
    assert found["data"] == {"city": "Oslo", "size": 2}


def test_an_answer_that_is_not_the_json_asked_for_is_a_serialization_error(
    server: ModelServer,
) -> None:
    server.script("m", Answer("Sure! Here you go:"))
    with pytest.raises(BridgeError) as caught:
        complete(llm_host(server), {"model": "test/m", "prompt": "x", "schema": {"type": "object"}})
    assert (caught.value.kind, caught.value.retryable) == ("Serialization", True)


def test_a_response_format_is_passed_through(server: ModelServer) -> None:
    request = {"model": "test/m", "prompt": "x", "response_format": {"type": "json_object"}}
    assert "data" not in complete(llm_host(server), request)
    assert server.requests[0].body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("request_", "field", "said"),
    [
        ({"messages": []}, "messages", "no messages"),
        ({"messages": [{"role": "user", "content": "x"}], "prompt": "y"}, "prompt", "not both"),
        ({"prompt": "x", "temprature": 1}, "temprature", "did you mean 'temperature'"),
        ({"prompt": "x", "n": 5}, "n", "unknown option 'n'"),
        ({"prompt": "x", "temperature": 3}, "temperature", "2"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens", "1"),
        ({"prompt": "x", "stop": "a", "stop_sequences": ["b"]}, "stop_sequences", "one of them"),
        ({"prompt": "x", "tool_choice": "nope"}, "tool_choice", "tools"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "robot"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "content"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]},
         "messages[0].content[0]", "url or data"),
        ({"prompt": "x", "extra": {"api_base": "http://evil"}}, "extra.api_base", "unknown"),
        ({"prompt": "x", "extra": {"top_l": 1}}, "extra.top_l", "did you mean 'top_k'"),
        ({"prompt": "x", "extra": {"api_key": "k"}}, "extra.api_key", "unknown"),
        ({"prompt": "x", "extra": {"model": "gpt-4"}}, "extra.model", "unknown"),
        ({"prompt": "x", "extra": {"extra_body": {"n": 9}}}, "extra.extra_body", "unknown"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_named(
    server: ModelServer, request_: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(BridgeError) as caught:
        complete(llm_host(server), {"model": "test/m", **request_})
    assert (caught.value.kind, caught.value.field) == ("Validation", field)
    assert said in caught.value.message
    assert server.requests == []


def test_the_operator_may_allow_more_extra_options(server: ModelServer) -> None:
    host = llm_host(server, settings={"extra_options": ["top_z"]})
    complete(host, {"model": "test/m", "prompt": "x", "extra": {"top_z": 4}})
    assert server.requests[0].body["top_z"] == 4


def test_a_fault_of_the_provider_is_repeated_until_it_answers(server: ModelServer) -> None:
    server.script("m", Refusal(500), Refusal(503), Answer("third"))
    found = complete(llm_host(server), {"model": "test/m", "prompt": "x", "retries": QUICK})
    assert found["content"] == "third"
    assert found["metadata"]["attempts"] == 3
    assert len(server.requests) == 3


def test_there_is_one_layer_of_retries(server: ModelServer) -> None:
    server.script("m", *[Refusal(500)] * 20)
    with pytest.raises(BridgeError):
        complete(
            llm_host(server),
            {"model": "test/m", "prompt": "x", "retries": {**QUICK, "attempts": 2}},
        )
    assert len(server.requests) == 2
    assert {r.headers["x-stainless-retry-count"] for r in server.requests} == {"0"}


def test_without_a_word_about_retries_there_are_three(server: ModelServer) -> None:
    server.script("m", *[Refusal(500)] * 20)
    with pytest.raises(BridgeError):
        complete(llm_host(server), {"model": "test/m", "prompt": "x", "retries": QUICK})
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_that_will_not_change_is_not_repeated(server: ModelServer, status: int) -> None:
    server.script("m", *[Refusal(status)] * 3)
    with pytest.raises(BridgeError):
        complete(llm_host(server), {"model": "test/m", "prompt": "x", "retries": QUICK})
    assert len(server.requests) == 1


def test_the_wait_that_the_provider_asks_for_is_kept(server: ModelServer) -> None:
    server.script("m", Refusal(429, retry_after=0.3), Answer("ok"))
    host = llm_host(server)

    async def work() -> float:
        await host.call("llm.complete", {"model": "test/warm", "prompt": "x"})
        began = asyncio.get_running_loop().time()
        await host.call("llm.complete", {"model": "test/m", "prompt": "x", "retries": QUICK})
        return asyncio.get_running_loop().time() - began

    assert host.run(work) >= 0.3


def test_a_wait_that_goes_past_the_deadline_is_not_begun(server: ModelServer) -> None:
    server.script("m", Refusal(429, "come back tomorrow", retry_after=86_400))
    with pytest.raises(BridgeError) as caught:
        complete(llm_host(server), {"model": "test/m", "prompt": "x"})
    assert (caught.value.kind, caught.value.retry_after) == ("RateLimit", 86_400)
    assert len(server.requests) == 1


def test_a_timeout_of_the_call_is_kept_and_named(server: ModelServer) -> None:
    gate = Gate()
    for timeout in gate.short_timeouts(0.2):
        server.script("m", Answer("late", gate=gate))
        request = {"model": "test/m", "prompt": "x", "retries": {"attempts": 1}}
        with pytest.raises(BridgeError) as caught:
            complete(llm_host(server), {**request, "timeout": timeout})
        assert (caught.value.kind, caught.value.duration) == ("Timeout", timeout)
        assert caught.value.retryable
    gate.wait_abandoned()


def test_a_cancelled_call_hangs_up(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("late", gate=gate))
    host = llm_host(server)

    async def work() -> None:
        task = asyncio.create_task(host.call("llm.complete", {"model": "test/m", "prompt": "x"}))
        await asyncio.to_thread(gate.wait_reached)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(gate.wait_abandoned)

    host.run(work)
    assert len(server.requests) == 1


def test_calls_at_the_same_time_do_not_wait_for_each_other(server: ModelServer) -> None:
    gate = Gate()
    server.script("slow", Answer("slow", gate=gate))
    host = llm_host(server)

    async def work() -> list[str]:
        slow = asyncio.create_task(host.call("llm.complete", {"model": "test/slow", "prompt": "x"}))
        await asyncio.to_thread(gate.wait_reached)
        quick = await host.call("llm.complete", {"model": "test/m", "prompt": "quick"})
        gate.open()
        return [quick["content"], (await slow)["content"]]

    assert host.run(work) == ["quick", "slow"]


def test_bridges_can_follow_each_other_in_one_process(server: ModelServer) -> None:
    for _ in range(2):
        assert complete(llm_host(server), {"model": "test/m", "prompt": "again"})
    assert len(server.requests) == 2
