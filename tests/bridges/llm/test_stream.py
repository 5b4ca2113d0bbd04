"""`llm.stream`: deltas as they arrive, back-pressure, and what happens when it breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from llmspell_bridges import BridgeError
from llmspell_testkit.model_server import (
    Answer,
    Bytes,
    Gate,
    Hangup,
    ModelServer,
    Refusal,
    Scripted,
)
from tests.bridges.host import Host, llm_host

QUICK = {"base_delay": 0}


def ask(**more: Any) -> dict[str, Any]:
    """A request of the scripted model."""
    return {"model": "test/m", "prompt": "x", "retries": QUICK, **more}


def broken(host: Host, **more: Any) -> tuple[list[Any], BridgeError]:
    """What a stream brought before it failed, and how it failed."""
    chunks: list[Any] = []

    async def work() -> BridgeError:
        with pytest.raises(BridgeError) as caught:
            async for chunk in host.open("llm.stream", ask(**more)):
                chunks.append(msgspec.msgpack.decode(chunk))  # noqa: PERF401 - fails midway
        return caught.value

    error = host.run(work)
    return chunks, error


def test_the_deltas_add_up_to_the_answer(server: ModelServer) -> None:
    server.script("m", Answer("to be or", prompt_tokens=9, completion_tokens=4))
    host = llm_host(server)
    chunks, whole = host.run(lambda: host.drain("llm.stream", ask()))
    assert chunks == [
        {"content": "to"},
        {"content": " be"},
        {"content": " or"},
        {"finish_reason": "stop"},
    ]
    metadata = whole.pop("metadata")
    assert whole == {
        "content": "to be or",
        "message": {"role": "assistant", "content": "to be or"},
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
        "cost": None,
        "model": "m",
        "provider": "test",
        "finish_reason": "stop",
    }
    assert (metadata["id"], metadata["attempts"]) == ("chatcmpl-1", 1)


def test_a_plain_string_is_one_user_message(server: ModelServer) -> None:
    host = llm_host(server, settings={"default_model": "test/m"})
    _, whole = host.run(lambda: host.drain("llm.stream", "an echo"))
    assert whole["content"] == "an echo"


def test_a_delta_is_there_before_the_next_one_is_made(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("first second", gate=gate, gate_after=1))
    host = llm_host(server)

    async def work() -> list[Any]:
        stream = host.open("llm.stream", ask())
        first = msgspec.msgpack.decode(await anext(stream))
        assert first == {"content": "first"}  # the second is still behind the gate
        gate.open()
        return [msgspec.msgpack.decode(chunk) async for chunk in stream]

    assert host.run(work) == [{"content": " second"}, {"finish_reason": "stop"}]


def test_tool_calls_arrive_in_pieces_and_whole(server: ModelServer) -> None:
    server.script("m", Answer("", tool_calls=(("add", '{"a": 1}'),)))
    host = llm_host(server)
    tools = [{"name": "add"}]
    chunks, whole = host.run(lambda: host.drain("llm.stream", ask(tools=tools)))
    pieces = [c["tool_calls"][0] for c in chunks if "tool_calls" in c]
    assert pieces[0] == {"index": 0, "id": "call_0", "name": "add", "arguments": '{"a"'}
    assert "".join(p["arguments"] for p in pieces) == '{"a": 1}'
    assert whole["tool_calls"] == [{"id": "call_0", "name": "add", "arguments": {"a": 1}}]
    assert whole["finish_reason"] == "tool_calls"


def test_tokens_are_counted_where_the_provider_does_not(server: ModelServer) -> None:
    server.script("m", Answer("one two three", usage=False))
    host = llm_host(server)
    _, whole = host.run(lambda: host.drain("llm.stream", ask()))
    assert whole["usage"]["completion_tokens"] == 3
    assert whole["usage"]["prompt_tokens"] > 0
    assert host.usage.completion_tokens == 3


def test_a_reader_that_stops_hangs_up(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("a b c", gate=gate, gate_after=2))
    host = llm_host(server)

    async def work() -> None:
        stream = host.open("llm.stream", ask())
        await anext(stream)
        await stream.aclose()
        await asyncio.to_thread(gate.wait_abandoned)

    host.run(work)


def test_a_cancelled_reader_hangs_up(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("a b c", gate=gate, gate_after=1))
    host = llm_host(server)

    async def work() -> None:
        task = asyncio.create_task(host.drain("llm.stream", ask()))
        await asyncio.to_thread(gate.wait_reached)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(gate.wait_abandoned)

    host.run(work)


def test_a_stream_that_is_cut_off_is_a_network_error_and_is_not_repeated(
    server: ModelServer,
) -> None:
    server.script("m", Answer("a b c", cut_after=2), Answer("again"))
    chunks, error = broken(llm_host(server))
    assert chunks == [{"content": "a"}, {"content": " b"}]
    assert (error.kind, error.retryable) == ("Network", True)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "first",
    [Refusal(500), Refusal(429, retry_after=0), Hangup(), Answer("x", cut_after=0)],
    ids=str,
)
def test_a_stream_that_fails_before_its_first_delta_is_repeated(
    server: ModelServer, first: Scripted
) -> None:
    server.script("m", first, Answer("fine"))
    host = llm_host(server)
    _, whole = host.run(lambda: host.drain("llm.stream", ask()))
    assert (whole["content"], whole["metadata"]["attempts"]) == ("fine", 2)


def test_a_stream_that_falls_silent_is_a_timeout_and_hangs_up(server: ModelServer) -> None:
    gate = Gate()
    chunks: list[Any] = []
    for timeout in gate.short_timeouts(0.3):
        server.script("m", Answer("a b c", gate=gate, gate_after=1))
        chunks, error = broken(llm_host(server), timeout=timeout)
        assert (error.kind, error.duration) == ("Timeout", timeout)
    assert chunks == [{"content": "a"}]
    gate.wait_abandoned()


@pytest.mark.parametrize(
    "answer",
    [
        Bytes(b"data: {nope\n\ndata: [DONE]\n\n", "text/event-stream"),
        Bytes(b"<html>proxy</html>", "text/html"),
        Bytes(b"", "text/event-stream"),
    ],
    ids=str,
)
def test_a_stream_of_something_else_is_a_serialization_error(
    server: ModelServer, answer: Scripted
) -> None:
    server.script("m", answer)
    _, error = broken(llm_host(server))
    assert error.kind == "Serialization"


def test_an_error_inside_a_stream_is_the_providers(server: ModelServer) -> None:
    body = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
    server.script("m", Bytes(body, "text/event-stream"))
    _, error = broken(llm_host(server), retries={"attempts": 1})
    assert error.kind == "Provider"
    assert "out of memory" in error.message


def test_max_response_bounds_the_stream_in_all_and_hangs_up(server: ModelServer) -> None:
    gate = Gate()
    server.script("m", Answer("word " * 100, gate=gate, gate_after=90))
    chunks, error = broken(llm_host(server, max_response=500))
    assert error.kind == "Limit"
    assert 10 < len(chunks) < 90
    gate.wait_abandoned()
    assert len(server.requests) == 1


def test_a_schema_is_read_when_the_stream_is_over(server: ModelServer) -> None:
    server.script("m", Answer(pieces=('{"a"', ": 1}")))
    host = llm_host(server)
    _, whole = host.run(lambda: host.drain("llm.stream", ask(schema={"type": "object"})))
    assert whole["data"] == {"a": 1}
