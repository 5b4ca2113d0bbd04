"""`llm.embed`."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_testkit.model_server import Bytes, ModelServer, Refusal
from tests.bridges.host import Host, llm_host


def embed(host: Host, request: Any) -> Any:
    """One call."""
    return host.run(lambda: host.call("llm.embed", request))


def test_texts_become_vectors_in_their_order(server: ModelServer) -> None:
    host = llm_host(server)
    found = embed(host, {"model": "test/e", "input": ["a", "bcd"]})
    assert found["embeddings"] == [[1.0, 0.5, -1.0], [3.0, 0.5, -1.0]]
    assert found["usage"] == {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}
    assert (found["model"], found["provider"]) == ("e", "test")
    assert host.usage.prompt_tokens == 7


@pytest.mark.parametrize("given", ["abc", ["abc"]])
def test_a_plain_text_or_list_goes_to_the_configured_model(
    server: ModelServer, given: object
) -> None:
    host = llm_host(server, settings={"embed_model": "test/e"})
    assert embed(host, given)["embeddings"] == [[3.0, 0.5, -1.0]]
    assert server.requests[0].body["input"] == ["abc"]


def test_dimensions_reach_the_provider(server: ModelServer) -> None:
    embed(llm_host(server), {"model": "test/text-embedding-3-small", "input": "x", "dimensions": 3})
    assert server.requests[0].body["dimensions"] == 3


def test_the_operators_chat_model_does_not_embed(server: ModelServer) -> None:
    host = llm_host(server, model="test/chat")
    assert embed(host, {"model": "test/e", "input": "x"})["model"] == "e"


def test_there_must_be_something_to_embed(server: ModelServer) -> None:
    with pytest.raises(BridgeError) as caught:
        embed(llm_host(server), {"model": "test/e", "input": []})
    assert (caught.value.kind, caught.value.field) == ("Validation", "input")


def test_a_fault_is_repeated(server: ModelServer) -> None:
    server.script("e", Refusal(500))
    request = {"model": "test/e", "input": "x", "retries": {"base_delay": 0}}
    assert embed(llm_host(server), request)["metadata"]["attempts"] == 2


@pytest.mark.parametrize("body", [b"{}", b'{"data": []}', b'{"data": [{"index": 0}]}', b"nope"])
def test_an_answer_without_vectors_is_a_serialization_error(
    server: ModelServer, body: bytes
) -> None:
    server.script("e", Bytes(body))
    with pytest.raises(BridgeError) as caught:
        embed(llm_host(server), {"model": "test/e", "input": "x"})
    assert caught.value.kind == "Serialization"
