"""Which model answers, and what happens when none can."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from llmspell_bridges.llm import LlmBridge, LlmConfig
from llmspell_bridges.local import Endpoint, LocalModel
from llmspell_testkit.model_server import ModelServer
from tests.bridges.host import Host, complete, llm_host

CANARY = "sk-canary-99aabbccdd"


def refused(host: Host, request: Any) -> BridgeError:
    """The error of a call that goes nowhere."""
    with pytest.raises(BridgeError) as caught:
        complete(host, request)
    return caught.value


def answered(host: Host, server: ModelServer, **request: Any) -> str:
    """The model that the server was asked for."""
    complete(host, {"prompt": "x", **request})
    return str(server.requests[-1].body["model"])


SETTINGS = {
    "default_model": "test/default",
    "aliases": {"fast": "test/small", "gpt-4": "test/big"},
}


@pytest.mark.parametrize(
    ("operator", "asked", "expected"),
    [
        (None, None, "default"),
        (None, "test/own", "own"),
        (None, "fast", "small"),
        (None, "gpt-4", "big"),
        ("test/forced", "gpt-4", "forced"),
        ("test/forced", None, "forced"),
        ("fast", "test/own", "small"),
    ],
)
def test_the_operator_then_aliases_then_the_spell_then_the_default(
    server: ModelServer, operator: str | None, asked: str | None, expected: str
) -> None:
    host = llm_host(server, model=operator, settings=SETTINGS)
    request = {} if asked is None else {"model": asked}
    assert answered(host, server, **request) == expected


def test_the_model_that_answers_is_noted_for_the_audit_log(server: ModelServer) -> None:
    host = llm_host(server, settings=SETTINGS)
    complete(host, {"prompt": "x", "model": "gpt-4"})
    assert host.context.detail == {"model": "test/big", "route": "test/big"}


def test_a_provider_can_be_named_beside_the_model(server: ModelServer) -> None:
    assert answered(llm_host(server), server, provider="test", model="meta/llama") == "meta/llama"


def test_a_provider_that_litellm_knows_can_be_moved(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    own = {"openai": {"base_url": server.base_url}}
    found = complete(
        llm_host(server, settings={"providers": own}), {"model": "gpt-4o", "prompt": "x"}
    )
    assert (found["provider"], found["model"]) == ("openai", "gpt-4o")
    assert found["cost"] == pytest.approx(7 * 2.5e-6 + 5 * 1e-5)
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


def test_a_server_without_a_key_is_not_sent_anothers(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    complete(llm_host(server), {"model": "test/m", "prompt": "x"})
    assert CANARY not in str(server.requests[0].headers)


@pytest.mark.parametrize(
    ("model", "variable"),
    [("gpt-4", "OPENAI_API_KEY"), ("anthropic/claude-opus-4", "ANTHROPIC_API_KEY")],
)
def test_a_missing_key_names_the_variable_and_the_flag(
    server: ModelServer, model: str, variable: str
) -> None:
    error = refused(llm_host(server), {"model": model, "prompt": "x"})
    assert error.kind == "Configuration"
    assert f"{variable} is not set: export it, or run with --model local" in error.message


def test_a_missing_key_of_a_server_of_ones_own_is_named(server: ModelServer) -> None:
    own = {"test": {"base_url": server.base_url, "api_key_env": "MY_KEY_THAT_IS_NOT_SET"}}
    host = llm_host(server, settings={"providers": own})
    error = refused(host, {"model": "test/m", "prompt": "x"})
    assert error.kind == "Configuration"
    assert "MY_KEY_THAT_IS_NOT_SET is not set" in error.message
    assert server.requests == []


def test_no_model_at_all_says_how_to_name_one(server: ModelServer) -> None:
    error = refused(llm_host(server), {"prompt": "x"})
    assert (error.kind, error.field) == ("Configuration", "model")
    assert "--model" in error.message
    assert "default_model" in error.message


def test_a_model_that_nobody_serves_says_what_to_write(server: ModelServer) -> None:
    error = refused(llm_host(server), {"model": "claude-3-opus", "prompt": "x"})
    assert (error.kind, error.field) == ("Configuration", "model")
    assert "PROVIDER/claude-3-opus" in error.message


@pytest.mark.parametrize(
    ("allow", "model", "granted"),
    [
        (("test/*",), "test/m", True),
        (("test/m",), "test/m", True),
        (("test/m",), "test/mm", False),
        (("gpt-*",), "test/m", False),
        ((), "test/m", False),
        (("fast",), "fast", True),
        (("test/small",), "fast", True),
        (("fast",), "test/small", False),
    ],
)
def test_a_spell_uses_the_models_that_it_was_granted(
    server: ModelServer, allow: tuple[str, ...], model: str, granted: bool
) -> None:
    host = llm_host(server, settings=SETTINGS, allow_models=allow)
    if granted:
        assert complete(host, {"model": model, "prompt": "x"})
        return
    error = refused(host, {"model": model, "prompt": "x"})
    assert (error.kind, error.field) == ("Policy", "model")
    assert server.requests == []


def test_the_operators_choice_needs_no_grant(server: ModelServer) -> None:
    host = llm_host(server, model="test/forced", allow_models=("gpt-4",))
    assert answered(host, server, model="gpt-4") == "forced"


def test_plain_http_beyond_this_machine_is_refused(server: ModelServer) -> None:
    own = {"far": {"base_url": "http://models.invalid/v1"}}
    host = llm_host(server, settings={"providers": own})
    error = refused(host, {"model": "far/m", "prompt": "x"})
    assert error.kind == "Policy"
    assert "models.invalid" in error.message


def test_plain_http_from_the_environment_is_refused_too(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://models.invalid/v1")
    error = refused(llm_host(server), {"model": "gpt-4", "prompt": "x"})
    assert error.kind == "Policy"


def test_the_operator_may_do_without_tls(server: ModelServer) -> None:
    own = {"far": {"base_url": "http://models.invalid/v1"}}
    host = llm_host(server, settings={"providers": own}, require_tls=False)
    request = {"model": "far/m", "prompt": "x", "retries": {"attempts": 1}}
    assert refused(host, request).kind == "Network"


@pytest.mark.parametrize(
    "name",
    [
        "huggingface/https://evil.example/steal",
        "gemini/../../v1/files?x=",
        "openai/x#y",
        "gpt-4\n",
        "gpt-4 ",
        "/gpt-4",
        "gpt%2f4",
        "x" * 300,
    ],
)
def test_a_model_that_is_an_address_or_a_path_is_refused(server: ModelServer, name: str) -> None:
    error = refused(llm_host(server), {"model": name, "prompt": "x"})
    assert (error.kind, error.field) == ("Validation", "model")


@pytest.mark.parametrize("part", ["provider", "model"])
def test_a_provider_is_no_way_around_the_name(server: ModelServer, part: str) -> None:
    request = {"provider": "huggingface", "model": "x", "prompt": "x"}
    error = refused(llm_host(server), {**request, part: "https://evil.example"})
    assert error.kind == "Validation"


def test_a_model_without_a_price_is_not_for_a_spell_to_pick(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    request = {"model": "openai/no-such-price", "prompt": "x"}
    error = refused(llm_host(server), request)
    assert (error.kind, error.field) == ("Policy", "model")
    assert "--allow-model openai/no-such-price" in error.message
    assert server.requests == []
    assert complete(llm_host(server, allow_models=("openai/*",)), request)["cost"] is None
    assert complete(llm_host(server, model="openai/no-such-price"), {"prompt": "x"})


class Nearby(LocalModel):
    """A local model that a test's server plays."""

    def __init__(self, server: ModelServer) -> None:
        super().__init__()
        self.server = server
        self.asked: list[str | None] = []

    async def endpoint(self, name: str | None = None) -> Endpoint:
        """Where the server is."""
        self.asked.append(name)
        return Endpoint(
            base_url=self.server.base_url,
            api_key=CANARY,
            model=name or "usual",
            headers={"X-Nearby": "yes"},
        )


@pytest.mark.parametrize(("model", "name"), [("local", None), ("local/big", "big")])
def test_local_is_asked_for_when_it_is_named_and_not_before(
    server: ModelServer, model: str, name: str | None
) -> None:
    local = Nearby(server)
    host = Host(LlmBridge(LlmConfig(), local), model=model)
    assert local.asked == []
    found = complete(host, {"model": "gpt-4", "prompt": "x"})
    assert (found["provider"], found["model"], found["cost"]) == ("local", name or "usual", None)
    assert local.asked == [name]
    headers = server.requests[0].headers
    assert (headers["authorization"], headers["x-nearby"]) == (f"Bearer {CANARY}", "yes")


def test_local_needs_a_grant_like_every_model(server: ModelServer) -> None:
    local = Nearby(server)
    host = Host(LlmBridge(LlmConfig(), local), allow_models=("gpt-4",))
    assert refused(host, {"model": "local", "prompt": "x"}).kind == "Policy"
    assert local.asked == []


def test_models_lists_what_the_spell_may_name(server: ModelServer) -> None:
    host = llm_host(server, settings=SETTINGS, allow_models=("test/*", "fast"))
    found = host.run(lambda: host.call("llm.models"))
    assert found["default"] == "test/default"
    assert found["allow"] == ["test/*", "fast"]
    assert {(m["name"], m["model"], m["source"]) for m in found["models"]} == {
        ("fast", "test/small", "alias"),
        ("gpt-4", "test/big", "alias"),
        ("test/default", "test/default", "default"),
    }


def test_models_says_what_the_operator_chose(server: ModelServer) -> None:
    host = llm_host(server, model="test/forced", settings=SETTINGS)
    found = host.run(lambda: host.call("llm.models"))
    assert found["default"] == "test/forced"
    assert found["models"][0]["source"] == "operator"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"defualt_model": "x"}, "llm"),
        ({"providers": {"x": {"api_key": CANARY}}}, "llm.providers[...]"),
        ({"providers": {"x": {"base_url": "ftp://x"}}}, "llm.providers[...].base_url"),
        ({"providers": {"x": {"timeout": 0}}}, "llm.providers[...].timeout"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(settings: Any, field: str) -> None:
    with pytest.raises(BridgeError) as caught:
        load("llm", settings)
    assert (caught.value.kind, caught.value.field) == ("Configuration", field)
    assert CANARY not in caught.value.message
