"""What `llm` takes and gives survives being written and read, in every form that is used."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmspell_bridges.llm import _types as t

PARTS: list[Any] = [
    t.TextPart(text="see"),
    t.ImagePart(url="https://a.b/c.png"),
    t.ImagePart(data="aGk="),
]
CALL = t.ToolCall(id="1", name="add", arguments={"a": [1, 2.5, None]})
USAGE = t.TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
METADATA = t.ResponseMetadata(id="x", created=1, latency_ms=5, attempts=2)
ANSWER = t.AnswerMessage(content="", tool_calls=[CALL])
RETRIES = t.Retries(attempts=2, base_delay=1.0, max_delay=2.0, backoff="linear")

WHOLE: list[Any] = [
    t.CompletionRequest(
        model="m",
        provider="p",
        timeout=1.5,
        retries=RETRIES,
        messages=[
            t.Message(role="system", content="be brief", metadata={"mine": True}),
            t.Message(role="user", content=PARTS, name="ada"),
            t.Message(role="assistant", tool_calls=[CALL]),
            t.Message(role="tool", content="3", tool_call_id="1"),
        ],
        temperature=0.5,
        max_tokens=9,
        stop=["a"],
        tools=[t.ToolDefinition(name="add", description="adds", parameters={"type": "object"})],
        tool_choice="auto",
        schema={"type": "object"},
        extra={"top_k": 3},
    ),
    t.CompletionResponse(
        content="",
        message=ANSWER,
        tool_calls=[CALL],
        data={"a": 1},
        usage=USAGE,
        cost=0.25,
        model="m",
        provider="p",
        finish_reason="tool_calls",
        metadata=METADATA,
    ),
    t.CompletionDelta(content="a", tool_calls=[t.ToolCallDelta(index=0, id="1", arguments="{")]),
    t.CompletionDelta(finish_reason="stop"),
    t.EmbedRequest(input=["a", "b"], dimensions=8),
    t.EmbedResponse(
        embeddings=[[0.5, 1.0]], usage=USAGE, cost=None, model="m", provider="p", metadata=METADATA
    ),
    t.ModelsResponse(
        default=None, allow=["*"], models=[t.ModelInfo(name="a", model="b", source="alias")]
    ),
]


@pytest.mark.parametrize("form", [msgspec.msgpack, msgspec.json], ids=["msgpack", "json"])
def test_what_was_written_is_read_back_equal(form: Any) -> None:
    for value in WHOLE:
        assert form.decode(form.encode(value), type=type(value)) == value


def test_each_type_has_a_json_schema() -> None:
    named = {type(value).__name__ for value in WHOLE}
    _, found = msgspec.json.schema_components([type(value) for value in WHOLE])
    assert named <= set(found)
    assert {"Message", "TextPart", "ImagePart", "TokenUsage", "ToolDefinition"} <= set(found)
    roles = found["Message"]["properties"]["role"]["enum"]
    assert set(roles) == {"system", "user", "assistant", "tool"}
