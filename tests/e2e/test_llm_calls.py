"""`llm` from a spell to the wire and back: the same request, the same answer, in both languages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_testkit.model_server import Answer
from tests.e2e.llm_stage import LANGUAGES, Language, Stage, open_stage

pytestmark = [
    pytest.mark.xdist_group("litellm"),  # imported once
    pytest.mark.parametrize("language", LANGUAGES),
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
]

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PIXEL = b"\x89PNG\r\n\x1a\n\x00\xff"
IMAGE = "data:image/gif;base64,R0lGODlh"
ADDER = {"name": "add", "description": "adds", "parameters": SCHEMA, "strict": True}

EVERY_OPTION: dict[Language, str] = {
    "lua": """
        return llm.complete({
            model = "test/m",
            messages = {
                {role = "system", content = "be brief"},
                {role = "user", content = "hi", name = "ada", metadata = {mine = 1}},
                {role = "assistant", content = "", tool_calls = {
                    {id = "c1", name = "add", arguments = {n = 1}},
                    {id = "c2", name = "now", arguments = {}},
                }},
                {role = "tool", tool_call_id = "c1", content = "2"},
                {role = "tool", tool_call_id = "c2", content = "noon"},
                {role = "assistant", content = "done"},
                {role = "user", content = "thanks"},
            },
            temperature = 0.25, max_tokens = 17, stop = {"END", "FIN"}, top_p = 0.5, seed = 7,
            presence_penalty = 0.1, frequency_penalty = -0.1, extra = {top_k = 3},
            tools = {{name = "add", description = "adds", parameters = {type = "object"}}},
            tool_choice = "required", response_format = {type = "json_object"},
            timeout = 9, retries = {attempts = 1},
        })
    """,
    "javascript": """
        return await llm.complete({
            model: "test/m",
            messages: [
                {role: "system", content: "be brief"},
                {role: "user", content: "hi", name: "ada", metadata: {mine: 1}},
                {role: "assistant", content: "", tool_calls: [
                    {id: "c1", name: "add", arguments: {n: 1}},
                    {id: "c2", name: "now", arguments: {}},
                ]},
                {role: "tool", tool_call_id: "c1", content: "2"},
                {role: "tool", tool_call_id: "c2", content: "noon"},
                {role: "assistant", content: "done"},
                {role: "user", content: "thanks"},
            ],
            temperature: 0.25, max_tokens: 17, stop: ["END", "FIN"], top_p: 0.5, seed: 7,
            presence_penalty: 0.1, frequency_penalty: -0.1, extra: {top_k: 3},
            tools: [{name: "add", description: "adds", parameters: {type: "object"}}],
            tool_choice: "required", response_format: {type: "json_object"},
            timeout: 9, retries: {attempts: 1},
        })
    """,
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    with open_stage() as opened:
        yield opened


@pytest.fixture
def stage(shared: Stage) -> Stage:
    return shared.clear()


def function(name: str, arguments: str, call: str) -> dict[str, Any]:
    """A tool call as it is on the wire."""
    return {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_every_option_is_on_the_wire(stage: Stage, language: Language) -> None:
    stage.server.script("m", Answer("{}", prompt_tokens=20, completion_tokens=4))
    report = stage.run(language, EVERY_OPTION)
    assert report.verdict == "ok", report.problem
    adder = {"name": "add", "description": "adds", "parameters": {"type": "object"}}
    assert stage.asked() == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hi", "name": "ada"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [function("add", '{"n":1}', "c1"), function("now", "{}", "c2")],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "2"},
                {"role": "tool", "tool_call_id": "c2", "content": "noon"},
                {"role": "assistant", "content": "done"},
                {"role": "user", "content": "thanks"},
            ],
            "temperature": 0.25,
            "max_tokens": 17,
            "stop": ["END", "FIN"],
            "top_p": 0.5,
            "seed": 7,
            "presence_penalty": 0.1,
            "frequency_penalty": -0.1,
            "top_k": 3,
            "tools": [{"type": "function", "function": adder}],
            "tool_choice": "required",
            "response_format": {"type": "json_object"},
        }
    ]
    assert (report.usage.prompt_tokens, report.usage.completion_tokens) == (20, 4)
    assert report.usage.calls == {"llm.complete": 1}


def test_a_plain_string_is_a_prompt(stage: Stage, language: Language) -> None:
    found = stage.ask(language, "say hello")["value"]
    assert (found["content"], found["model"], found["provider"]) == ("say hello", "default", "test")
    assert stage.asked()[0]["messages"] == [{"role": "user", "content": "say hello"}]


def test_the_answer_says_why_it_ended_and_what_it_used(stage: Stage, language: Language) -> None:
    stage.server.script(
        "m", Answer("cut", finish_reason="length", prompt_tokens=11, completion_tokens=3)
    )
    found = stage.ask(language, {"model": "test/m", "prompt": "x"})["value"]
    assert found["content"] == "cut"
    assert found["message"] == {"role": "assistant", "content": "cut"}
    assert found["finish_reason"] == "length"
    assert found["usage"] == {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    assert found.get("cost") is None, "a server of one's own has no price"
    assert found["metadata"]["attempts"] == 1


def test_a_tool_goes_out_and_the_models_call_comes_back_as_data(
    stage: Stage, language: Language
) -> None:
    stage.server.script("m", Answer(None, tool_calls=(("add", '{"n": 1, "list": [2]}'),)))
    request = {"model": "test/m", "prompt": "add", "tools": [ADDER], "tool_choice": "add"}
    found = stage.ask(language, request)["value"]
    assert found["finish_reason"] == "tool_calls"
    call = {"id": "call_0", "name": "add", "arguments": {"n": 1, "list": [2]}}
    assert found["tool_calls"] == found["message"]["tool_calls"] == [call]
    sent = stage.asked()[0]
    assert sent["tools"] == [{"type": "function", "function": ADDER}]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "add"}}


def test_a_schema_is_sent_and_its_answer_is_data(stage: Stage, language: Language) -> None:
    stage.server.script("m", Answer('{"n": 4}'))
    found = stage.ask(language, {"model": "test/m", "prompt": "x", "schema": SCHEMA})["value"]
    assert found["data"] == {"n": 4}
    sent = stage.asked()[0]["response_format"]
    assert (sent["type"], sent["json_schema"]["schema"]) == ("json_schema", SCHEMA)


def test_images_are_content_parts(stage: Stage, language: Language) -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image", "url": IMAGE},
        {"type": "image", "data": PIXEL, "mime": "image/png"},
    ]
    request = {"model": "test/m", "messages": [{"role": "user", "content": parts}]}
    assert stage.ask(language, request)["ok"]
    assert stage.asked()[0]["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": IMAGE}},
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"},
        },
    ]


@pytest.mark.parametrize("many", [False, True])
def test_texts_become_vectors(stage: Stage, language: Language, many: bool) -> None:
    request: Any = ["a", "four"] if many else "four"
    found = stage.ask(language, request, "embed")["value"]
    vectors = [[1.0, 0.5, -1.0], [4.0, 0.5, -1.0]] if many else [[4.0, 0.5, -1.0]]
    assert found["embeddings"] == vectors
    assert found["usage"]["prompt_tokens"] == 7
    sent = stage.asked()[0]
    assert (sent["model"], sent["input"]) == ("embedder", ["a", "four"] if many else ["four"])


def test_embeddings_take_a_model_and_dimensions(stage: Stage, language: Language) -> None:
    request = {"input": ["x"], "model": "test/other", "dimensions": 3}
    assert stage.ask(language, request, "embed")["ok"]
    assert (stage.asked()[0]["model"]) == "other"


def test_a_spell_can_ask_which_models_there_are(stage: Stage, language: Language) -> None:
    sources: dict[Language, str] = {
        "lua": "return llm.models()",
        "javascript": "return await llm.models()",
    }
    found = stage.run(language, sources).value
    assert found["default"] == "test/default"
    assert found["allow"] == ["*"]
    assert {"name": "test/default", "model": "test/default", "source": "default"} in found["models"]
    assert stage.asked() == []


def test_a_known_models_price_is_in_the_answer_and_the_report(
    language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    with open_stage() as stage:
        own = {"openai": {"base_url": stage.server.base_url}}
        with open_stage(providers=own) as priced:
            stage.server.script("gpt-4o", Answer("x", prompt_tokens=1000, completion_tokens=100))
            report = priced.fail(language, {"model": "gpt-4o", "prompt": "x"})
    assert report.value["cost"] == pytest.approx(1000 * 2.5e-6 + 100 * 1e-5)
    assert report.usage.cost == pytest.approx(report.value["cost"])
    assert report.value["provider"] == "openai"
    assert json.dumps(stage.asked()[0]["messages"]) == '[{"role": "user", "content": "x"}]'
