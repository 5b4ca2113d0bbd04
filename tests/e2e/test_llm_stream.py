"""Streams from the wire to a spell: as they arrive, no faster than they are read, and no longer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_testkit.model_server import Answer, Flood, Gate
from tests.e2e.llm_stage import LANGUAGES, Language, Stage, open_stage

pytestmark = [
    pytest.mark.xdist_group("litellm"),  # imported once
    pytest.mark.parametrize("language", LANGUAGES),
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
]

MIB = 1024 * 1024

READ_ALL: dict[Language, str] = {
    "lua": """
        local stream, chunks = llm.stream(params.request), {}
        local ok, failed = pcall(function()
            for chunk in stream do
                console.log(chunk.content or "-")
                chunks[#chunks + 1] = chunk
            end
        end)
        if ok then return {chunks = chunks, closing = stream.result} end
        return {chunks = chunks, kind = failed.kind, message = failed.message,
            retryable = failed.retryable, duration = failed.duration}
    """,
    "javascript": """
        const stream = llm.stream(params.request), chunks = [];
        try {
            for await (const chunk of stream) {
                console.log(chunk.content ?? "-");
                chunks.push(chunk);
            }
            return {chunks, closing: await stream.result};
        } catch (e) {
            return {chunks, kind: e.kind, message: e.message, retryable: e.retryable,
                duration: e.duration ?? null};
        }
    """,
}
LEAVE_EARLY: dict[Language, str] = {
    "lua": """
        local stream = llm.stream("x")
        for chunk in stream do console.log(chunk.content) break end
        stream:close()
        return llm.complete({model = "test/after", prompt = "still here"}).content
    """,
    "javascript": """
        const stream = llm.stream("x");
        for await (const chunk of stream) { console.log(chunk.content); break; }
        return (await llm.complete({model: "test/after", prompt: "still here"})).content;
    """,
}
READ_SLOWLY: dict[Language, str] = {
    "lua": """
        local stream = llm.stream("x")
        for chunk in stream do
            llm.complete({model = "test/pause", prompt = "x", timeout = 60})
            stream:close()
            break
        end
        return "done"
    """,
    "javascript": """
        for await (const chunk of llm.stream("x")) {
            await llm.complete({model: "test/pause", prompt: "x", timeout: 60});
            break;
        }
        return "done";
    """,
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    with open_stage() as opened:
        yield opened


@pytest.fixture
def stage(shared: Stage) -> Stage:
    return shared.clear()


def event(content: str) -> bytes:
    """One delta as OpenAI's servers send it."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "default"}
    return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"


def test_deltas_reach_the_spell_while_the_model_is_still_answering(
    stage: Stage, language: Language
) -> None:
    gate = Gate()
    stage.server.script("default", Answer("one two three", gate=gate, gate_after=1))
    # The server sends the rest only when the spell has logged the first piece.
    stage.on_log = lambda _: gate.open()
    report = stage.run(language, READ_ALL, params={"request": "x"})
    assert report.verdict == "ok", report.problem
    assert [entry.text for entry in report.logs] == ["one", " two", " three", "-"]
    assert report.value["chunks"][-1] == {"finish_reason": "stop"}


def test_a_stream_closes_with_the_whole_answer_and_its_usage(
    stage: Stage, language: Language
) -> None:
    stage.server.script("default", Answer("one two", prompt_tokens=9, completion_tokens=2))
    report = stage.run(language, READ_ALL, params={"request": "x"})
    closing = report.value["closing"]
    assert (closing["content"], closing["finish_reason"]) == ("one two", "stop")
    assert closing["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert (report.usage.prompt_tokens, report.usage.completion_tokens) == (9, 2)
    sent = stage.asked()[0]
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})


def test_pieces_of_tool_calls_arrive_and_the_close_puts_them_together(
    stage: Stage, language: Language
) -> None:
    stage.server.script("default", Answer(None, tool_calls=(("add", '{"n": 41}'),)))
    tool = {"name": "add", "parameters": {"type": "object"}}
    report = stage.run(language, READ_ALL, params={"request": {"prompt": "x", "tools": [tool]}})
    pieces = [p for c in report.value["chunks"] for p in c.get("tool_calls", [])]
    assert "".join(p.get("arguments", "") for p in pieces) == '{"n": 41}'
    assert {p["index"] for p in pieces} == {0}
    call = {"id": "call_0", "name": "add", "arguments": {"n": 41}}
    assert report.value["closing"]["tool_calls"] == [call]


def test_a_stream_that_is_left_early_hangs_up_and_the_spell_goes_on(
    stage: Stage, language: Language
) -> None:
    gate = Gate()
    stage.server.script("default", Answer("one two three", gate=gate, gate_after=1))
    report = stage.run(language, LEAVE_EARLY)
    assert (report.verdict, report.value) == ("ok", "still here")
    stage.wait(gate.wait_abandoned)


def test_a_spell_that_ends_without_reading_hangs_up(stage: Stage, language: Language) -> None:
    gate = Gate()
    stage.server.script("default", Answer("one two three", gate=gate, gate_after=1))
    sources: dict[Language, str] = {
        "lua": "for chunk in llm.stream('x') do return chunk.content end",
        "javascript": "for await (const chunk of llm.stream('x')) return chunk.content;",
    }
    assert stage.run(language, sources).value == "one"
    stage.wait(gate.wait_abandoned)


def test_a_slow_reader_holds_the_server_back(stage: Stage, language: Language) -> None:
    flood, pause = Flood(event("x" * 4000), content_type="text/event-stream"), Gate()
    stage.server.script("default", flood)
    stage.server.script("pause", Answer("go on", gate=pause))

    async def work() -> int:
        run = asyncio.create_task(
            stage.start(
                language, READ_SLOWLY, max_response=256 * MIB, request_timeout=60, timeout=50
            )
        )
        # The spell has one delta and waits; the server goes on until nobody takes any more.
        await asyncio.to_thread(pause.wait_reached)
        assert await asyncio.to_thread(flood.stalled.wait, 30)
        held = flood.sent
        pause.open()
        report = await run
        assert (report.verdict, report.value) == ("ok", "done"), report.problem
        return held

    held = stage.until(work())
    # What the kernel's buffers and the client's own hold, of an answer that would not end.
    assert held < 24 * MIB
    stage.wait(lambda: flood.abandoned.wait(30))


def test_a_stream_that_is_cut_off_keeps_what_came_and_says_so(
    stage: Stage, language: Language
) -> None:
    stage.server.script("default", Answer("a b c", cut_after=2), Answer("again"))
    report = stage.run(language, READ_ALL, params={"request": "x"})
    assert [c["content"] for c in report.value["chunks"]] == ["a", " b"]
    assert (report.value["kind"], report.value["retryable"]) == ("Network", True)
    assert report.value["message"] == (
        f"cannot reach test/default at {stage.server.base_url}: the connection was lost"
    )
    assert len(stage.asked()) == 1, "a stream that has begun is not repeated"


def test_a_stream_that_falls_silent_is_a_timeout(stage: Stage, language: Language) -> None:
    gate = Gate()
    found: dict[str, Any] = {}
    for timeout in gate.short_timeouts(0.3):
        stage.server.script("default", Answer("a b c", gate=gate, gate_after=1))
        request = {"prompt": "x", "timeout": timeout}
        found = stage.run(language, READ_ALL, params={"request": request}).value
        assert (found["kind"], found["duration"]) == ("Timeout", timeout)
    assert len(found["chunks"]) == 1
    stage.wait(gate.wait_abandoned)


def test_a_stream_without_end_is_cut_off_at_max_response(stage: Stage, language: Language) -> None:
    flood = Flood(event("x" * 1000), content_type="text/event-stream")
    stage.server.script("default", flood)
    report = stage.run(
        language, READ_ALL, params={"request": "x"}, max_response=50_000, max_output=MIB
    )
    assert report.value["kind"] == "Limit"
    assert 40 <= len(report.value["chunks"]) < 50
    stage.wait(lambda: flood.abandoned.wait(30))


def test_a_stream_that_ignores_max_tokens_is_cut_off(stage: Stage, language: Language) -> None:
    flood = Flood(event("x"), content_type="text/event-stream")
    stage.server.script("default", flood)
    report = stage.run(language, READ_ALL, params={"request": {"prompt": "x", "max_tokens": 10}})
    assert report.value["kind"] == "Limit"
    assert report.value["message"] == "test/default: the stream goes on beyond max_tokens"
    stage.wait(lambda: flood.abandoned.wait(30))


def test_a_line_without_end_is_cut_off(stage: Stage, language: Language) -> None:
    flood = Flood(b"x" * 4096, head=b"data: ", content_type="text/event-stream")
    stage.server.script("default", flood)
    report = stage.run(language, READ_ALL, params={"request": "x"}, max_response=100_000)
    assert report.value["kind"] == "Limit"
    assert report.value["message"] == "test/default: the answer is larger than max_response allows"
    stage.wait(lambda: flood.abandoned.wait(30))
