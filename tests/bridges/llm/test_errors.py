"""What goes wrong at the provider, and the kind that a script sees."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges._errors import MAX_MESSAGE
from llmspell_testkit.model_server import Bytes, Hangup, ModelServer, Refusal, Scripted
from tests.bridges.host import complete, llm_host

ONCE = {"attempts": 1}
CANARY = "sk-canary-4f1d8c2b7a"
PAGE = Bytes(b"<html>proxy</html>", "text/html")


def error_of(server: ModelServer, answer: Scripted, **settings: Any) -> BridgeError:
    """The error of a call that gets `answer`."""
    server.script("m", answer)
    with pytest.raises(BridgeError) as caught:
        complete(
            llm_host(server, settings=settings or None),
            {"model": "test/m", "prompt": "x", "retries": ONCE},
        )
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind", "retryable"),
    [
        (Refusal(401, "bad key"), "Configuration", False),
        (Refusal(403, "not you"), "Configuration", False),
        (Refusal(404, "no such model"), "Configuration", False),
        (Refusal(400, "bad option"), "Validation", False),
        (Refusal(422, "odd option"), "Validation", False),
        (Refusal(400, "too long", code="context_length_exceeded"), "Validation", False),
        (Refusal(429, "slow down"), "RateLimit", True),
        (Refusal(429, "pay first", code="insufficient_quota"), "RateLimit", False),
        (Refusal(500, "boom"), "Provider", True),
        (Refusal(502, "bad gateway"), "Provider", True),
        (Refusal(503, "busy"), "Provider", True),
        (Bytes(b"{not json"), "Serialization", False),
        (Bytes(b""), "Serialization", False),
        (Bytes(b"[]"), "Serialization", False),
        (Bytes(b"{}"), "Serialization", False),
        (Bytes(b'{"choices": []}'), "Serialization", False),
        (Bytes(b'{"choices": 5}'), "Serialization", False),
        (Bytes(b'{"choices": [{"index": 0}]}'), "Serialization", False),
        (PAGE, "Serialization", False),
        (Hangup(), "Network", True),
    ],
    ids=str,
)
def test_the_kind_of_an_error_follows_from_the_answer(
    server: ModelServer, answer: Scripted, kind: str, retryable: bool
) -> None:
    error = error_of(server, answer)
    assert (error.kind, error.retryable) == (kind, retryable)
    if isinstance(answer, Refusal):
        assert error.message == f"test/m: {answer.message}"


def test_a_rate_limit_says_when_to_come_back(server: ModelServer) -> None:
    assert error_of(server, Refusal(429, retry_after=2)).retry_after == 2


def test_a_busy_provider_says_when_to_come_back(server: ModelServer) -> None:
    assert error_of(server, Refusal(503, retry_after=5)).retry_after == 5


def test_a_server_that_is_not_there_is_a_network_error_that_names_it() -> None:
    with ModelServer() as gone:
        base = gone.base_url
    with pytest.raises(BridgeError) as caught:
        complete(llm_host(_at(base)), {"model": "test/m", "prompt": "x", "retries": ONCE})
    assert (caught.value.kind, caught.value.retryable) == ("Network", True)
    assert caught.value.message == f"cannot reach test/m at {base}: the connection was refused"


def test_a_host_that_does_not_exist_is_a_network_error() -> None:
    with pytest.raises(BridgeError) as caught:
        complete(
            llm_host(_at("https://nowhere.invalid/v1")),
            {"model": "test/m", "prompt": "x", "retries": ONCE},
        )
    assert caught.value.kind == "Network"
    assert "host name" in caught.value.message


def test_a_key_that_the_provider_repeats_does_not_reach_the_script(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_MODEL_KEY", CANARY)
    own = {"test": {"base_url": server.base_url, "api_key_env": "MY_MODEL_KEY"}}
    error = error_of(server, Refusal(401, f"wrong key {CANARY}, go away"), providers=own)
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert error.message == "test/m: wrong key ***, go away"
    assert CANARY not in "".join(capfd.readouterr())


def test_another_key_of_the_environment_does_not_reach_the_script_either(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SERVICE_TOKEN", CANARY)
    assert CANARY not in error_of(server, Refusal(500, f"I know {CANARY}")).message


def test_a_message_is_one_short_line(server: ModelServer) -> None:
    error = error_of(server, Refusal(500, "a\nb\x1b[31m\u202e" + "x" * 100_000))
    assert len(error.message) == MAX_MESSAGE
    assert error.message.startswith("test/m: a b [31m x")


def test_nothing_is_printed_or_logged(
    server: ModelServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "LiteLLM"):
        error_of(server, Refusal(500, "boom"))
        complete(llm_host(server), {"model": "test/m", "prompt": "x"})
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if r.name.startswith("LiteLLM")] == []


def test_an_answer_over_max_response_is_refused(server: ModelServer) -> None:
    with pytest.raises(BridgeError) as caught:
        complete(llm_host(server, max_response=1000), {"model": "test/m", "prompt": "x" * 1001})
    assert caught.value.kind == "Limit"


def _at(base: str) -> ModelServer:
    class Elsewhere(ModelServer):
        @property
        def base_url(self) -> str:
            return base

    return Elsewhere()
