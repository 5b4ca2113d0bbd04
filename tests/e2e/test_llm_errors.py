"""What goes wrong with a model, as a spell sees it and as the report of an uncaught error says it."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from llmspell_testkit.model_server import Answer, Bytes, Gate, Refusal, Scripted
from tests.e2e.llm_stage import LANGUAGES, Language, Stage, open_stage

pytestmark = [
    pytest.mark.xdist_group("litellm"),  # imported once
    pytest.mark.parametrize("language", LANGUAGES),
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
]

CANARY = "sk-canary-7d1f9be204"
ONCE = {"retries": {"attempts": 1}}
TWICE = {"retries": {"attempts": 2, "base_delay": 0}}


@dataclass(frozen=True)
class Case:
    """A call that fails, and what is told about it. The model is `test/m` unless it says."""

    kind: str
    message: str
    answers: tuple[Scripted, ...] = ()
    request: dict[str, Any] = dataclasses.field(default_factory=lambda: dict(ONCE))
    retryable: bool = False
    retry_after: float | None = None
    field: str | None = None
    duration: float | None = None
    attempts: int = 1
    """Requests that reach the server."""
    policy: dict[str, Any] = dataclasses.field(default_factory=dict)


CASES = {
    "401": Case("Configuration", "test/m: bad key", (Refusal(401, "bad key"),)),
    "404": Case("Configuration", "test/m: no such model", (Refusal(404, "no such model"),)),
    "429": Case(
        "RateLimit",
        "test/m: slow down",
        (Refusal(429, "slow down", retry_after=0), Refusal(429, "slow down", retry_after=0.2)),
        TWICE,
        retryable=True,
        retry_after=0.2,
        attempts=2,
    ),
    "429 for a day": Case(
        "RateLimit",
        "test/m: tomorrow",
        (Refusal(429, "tomorrow", retry_after=86_400),),
        {},
        retryable=True,
        retry_after=86_400,
    ),
    "500": Case("Provider", "test/m: boom", (Refusal(500, "boom"),), retryable=True),
    "400": Case("Validation", "test/m: bad option", (Refusal(400, "bad option"),)),
    "too long": Case(
        "Validation",
        "test/m: This model's maximum context length is 8 tokens",
        (
            Refusal(
                400,
                "This model's maximum context length is 8 tokens",
                code="context_length_exceeded",
            ),
        ),
        field="messages",
    ),
    "refused": Case(
        "Network",
        "cannot reach gone/m at {gone}: the connection was refused",
        request={"model": "gone/m", **ONCE},
        retryable=True,
        attempts=0,
    ),
    "slow": Case(
        "Timeout",
        "test/m: no answer within 0.2 s",
        (Answer("late", gate=Gate()), Answer("late", gate=Gate())),
        {"timeout": 0.2, **ONCE},
        retryable=True,
        duration=0.2,
    ),
    "malformed": Case(
        "Serialization",
        "test/m: what came back is not an answer of a model; is its base_url right?",
        (Bytes(b"{not json"),),
    ),
    "too large": Case(
        "Limit",
        "test/m: the answer is larger than max_response allows",
        (Bytes(b" " * 400_000),),
        policy={"max_response": 100_000},
    ),
    "wrong type": Case(
        "Validation",
        "llm.complete: temperature: expected number, got string",
        request={"temperature": "hot"},
        field="temperature",
        attempts=0,
    ),
    "misspelt": Case(
        "Validation",
        "llm.complete: temprature: unknown option 'temprature'; did you mean 'temperature'?",
        request={"temprature": 1},
        field="temprature",
        attempts=0,
    ),
    "no key": Case(
        "Configuration",
        "anthropic/claude-3-opus-20240229: ANTHROPIC_API_KEY is not set:"
        " export it, or run with --model local",
        request={"model": "anthropic/claude-3-opus-20240229"},
        attempts=0,
    ),
    "not granted": Case(
        "Policy",
        "the model test/m is not granted to this spell (granted: test/good*)",
        field="model",
        attempts=0,
        policy={"allow_models": ("test/good*",)},
    ),
    "plain http": Case(
        "Policy",
        "plain: models.example is reached by plain http, and require_tls is on",
        request={"model": "plain/m"},
        attempts=0,
    ),
}


@pytest.fixture(scope="module")
def gone() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


@pytest.fixture(scope="module")
def shared(gone: str) -> Iterator[Stage]:
    providers = {"gone": {"base_url": gone}, "plain": {"base_url": "http://models.example/v1"}}
    with open_stage(providers=providers) as opened:
        yield opened


@pytest.fixture
def stage(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    return shared.clear()


def told(error: dict[str, Any]) -> dict[str, Any]:
    """An error without the fields that it does not have."""
    return {name: value for name, value in error.items() if value is not None}


@pytest.mark.parametrize("name", CASES)
def test_an_error_is_the_same_caught_and_in_the_report(
    stage: Stage, language: Language, name: str, gone: str
) -> None:
    case = CASES[name]
    request = {"model": "test/m", "prompt": "x", **case.request}
    expected = told(
        {
            "kind": case.kind,
            "message": case.message.format(gone=gone) if "{gone}" in case.message else case.message,
            "retryable": case.retryable,
            "retry_after": case.retry_after,
            "field": case.field,
            "duration": case.duration,
        }
    )
    stage.server.script("m", *case.answers)
    caught = stage.ask(language, request, **case.policy)
    assert told(caught) == {"ok": False, **expected}
    assert len(stage.asked()) == case.attempts

    stage.clear()
    stage.server.script("m", *case.answers)
    report = stage.fail(language, request, **case.policy)
    assert report.verdict == ("policy_denied" if case.kind == "Policy" else "script_error")
    assert report.problem is not None
    assert report.problem.error is not None
    error = report.problem.error
    assert expected == told({name: getattr(error, name) for name in caught if name != "ok"})
    assert report.problem.message == expected["message"]
    assert report.problem.line == 1


@pytest.mark.parametrize("first", [Refusal(500), Refusal(429, retry_after=0)], ids=str)
def test_a_passing_fault_is_repeated_below_the_spell(
    stage: Stage, language: Language, first: Scripted
) -> None:
    stage.server.script("m", first, Answer("second"))
    found = stage.ask(language, {"model": "test/m", "prompt": "x", **TWICE})["value"]
    assert (found["content"], found["metadata"]["attempts"]) == ("second", 2)


def test_retry_after_is_waited_for(stage: Stage, language: Language) -> None:
    stage.server.script("m", Refusal(429, retry_after=0.4), Answer("second"))
    report = stage.fail(language, {"model": "test/m", "prompt": "x", **TWICE})
    assert report.value["content"] == "second"
    assert 0.4 <= report.usage.wall < 10


ROBUST: dict[Language, str] = {
    "lua": """
        local attempt = 0
        while attempt < 3 do
            attempt = attempt + 1
            local ok, result = pcall(llm.complete, {model = "test/m", prompt = "x"})
            if ok then return {attempt = attempt, content = result.content} end
            console.log("Attempt " .. attempt .. " failed: " .. tostring(result))
            util.sleep(math.pow(2, attempt))
        end
    """,
    "javascript": """
        for (let attempt = 1; attempt <= 3; attempt++) {
            try {
                const result = await llm.complete({model: "test/m", prompt: "x"});
                return {attempt, content: result.content};
            } catch (error) {
                console.log(`Attempt ${attempt} failed: ${error.message}`);
                await util.sleep(Math.pow(2, attempt));
            }
        }
    """,
}


def test_a_spell_can_retry_by_itself(stage: Stage, language: Language) -> None:
    stage.server.script("m", Refusal(400, "no"), Refusal(404, "not yet"), Answer("now"))
    report = stage.run(language, ROBUST)
    assert report.value == {"attempt": 3, "content": "now"}
    for entry, said in zip(report.logs, ("test/m: no", "test/m: not yet"), strict=True):
        assert said in entry.text


def test_a_key_is_seen_by_its_provider_and_by_nobody_else(
    language: Language,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    import os

    import msgspec

    monkeypatch.setenv("MY_MODEL_KEY", CANARY)
    written: list[bytes] = []
    write = os.write

    def watch(descriptor: int, data: bytes) -> int:
        written.append(bytes(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", watch)
    with open_stage() as outer:
        own = {"base_url": outer.server.base_url, "api_key_env": "MY_MODEL_KEY"}
        with caplog.at_level("DEBUG"), open_stage(providers={"keyed": own}) as stage:
            request = {"model": "keyed/m", "prompt": "x", **ONCE}
            outer.server.script("m", Refusal(401, f"wrong key {CANARY}"))
            report = stage.fail(language, request)
            found = stage.ask(language, "x", "models")
            shown = repr((report, stage.supervisor, vars(stage.supervisor), report.policy))
        sent = outer.server.requests
    assert sent[0].headers["authorization"] == f"Bearer {CANARY}"
    assert report.problem is not None
    assert report.problem.message == "keyed/m: wrong key ***"
    wire = b"".join(written)
    assert b"params.request" in wire, "the recorder saw what the worker was sent"
    everything = [wire.decode("latin-1"), msgspec.json.encode(report).decode(), shown, str(found)]
    everything += [caplog.text, *capfd.readouterr()]
    assert not [text for text in everything if CANARY in text]
