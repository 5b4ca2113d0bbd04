"""The fakes: what they give, what they note, and that they say when they are used wrongly."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

import llmspell_testkit
from llmspell_bridges import BridgeError
from llmspell_testkit import (
    Clock,
    EchoBridge,
    Environment,
    InTurn,
    ModelScript,
    RecordedCall,
    RecordingBridge,
    Stage,
    run_without_worker,
)
from llmspell_testkit.model_script import Kind
from llmspell_testkit.model_server import Gate, ModelServer


def test_public_names_are_what_they_say_they_are() -> None:
    assert list(llmspell_testkit.__all__) == sorted(llmspell_testkit.__all__)
    for name in llmspell_testkit.__all__:
        assert getattr(llmspell_testkit, name).__module__.startswith("llmspell_testkit"), name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = llmspell_testkit.Nothing


# --- a recording bridge -----------------------------------------------------------------------------


def weather() -> RecordingBridge:
    async def tomorrow(city: str) -> str:
        return f"rain in {city}"

    return RecordingBridge(
        "weather",
        today={"sky": "clear"},
        fail=BridgeError("Network", "no line"),
        twice=InTurn(1, BridgeError("RateLimit", "slow down")),
        tomorrow=tomorrow,
    )


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("lua", "return {weather.today('Bern', 2), weather.tomorrow('Thun')}"),
        ("javascript", "return [await weather.today('Bern', 2), await weather.tomorrow('Thun')]"),
    ],
)
def test_a_recording_bridge_gives_what_it_is_told_and_notes_what_it_was_asked(
    llmspell_stage: Stage, language: str, source: str
) -> None:
    bridge = weather()
    with llmspell_stage.having(bridge) as stage:
        assert stage.run(source, language).value == [{"sky": "clear"}, "rain in Thun"]
    assert bridge.calls == [
        RecordedCall("today", ("Bern", 2)),
        RecordedCall("tomorrow", ("Thun",)),
    ]


def test_a_recording_bridge_raises_what_it_is_told_and_runs_out_of_answers() -> None:
    with pytest.raises(BridgeError, match="Network: no line"):
        run_without_worker(weather(), "weather.fail")
    bridge = weather()
    assert run_without_worker(bridge, "weather.twice") == 1
    with pytest.raises(BridgeError, match="RateLimit"):
        run_without_worker(bridge, "weather.twice")
    with pytest.raises(BridgeError, match="Internal"):
        run_without_worker(bridge, "weather.twice")


def test_a_recording_bridge_keeps_what_is_its_own() -> None:
    for name in ("close", "calls", "name"):
        with pytest.raises(ValueError, match=f"has a '{name}' of its own"):
            RecordingBridge("one", **{name: 1})


def test_two_recording_bridges_have_each_their_own_methods() -> None:
    one, other = RecordingBridge("one", a=1), RecordingBridge("other", b=2)
    assert (one.name, other.name) == ("one", "other")
    assert hasattr(type(one), "a")
    assert not hasattr(type(other), "a")


# --- without a worker -------------------------------------------------------------------------------


def test_a_method_is_called_without_a_worker_and_a_stream_is_read_to_its_end() -> None:
    assert run_without_worker(EchoBridge(), "echo.join_two", "a") == "a-?-3"
    assert run_without_worker(EchoBridge(), "echo.count", 2) == ([1, 2], "done")


def test_grants_hold_without_a_worker() -> None:
    with pytest.raises(BridgeError, match=r"echo\.say is not granted"):
        run_without_worker(EchoBridge(), "echo.say", 1, allow_bridges=("echo.count",))
    with pytest.raises(BridgeError, match=r"echo\.nothing is not granted"):
        run_without_worker(EchoBridge(), "echo.nothing")


# --- a clock ----------------------------------------------------------------------------------------


def test_with_a_clock_a_call_that_hangs_is_over_at_once() -> None:
    clock = Clock()
    with pytest.raises(BridgeError, match="no answer within 3600 s"):
        run_without_worker(
            EchoBridge(), "echo.hang", clock=clock, request_timeout=3600, timeout=9999
        )
    assert clock.now == pytest.approx(3600)


def test_a_clock_keeps_the_order_of_what_waits() -> None:
    clock, seen = Clock(), []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((seconds, clock.now))

    async def main() -> None:
        await asyncio.gather(wait(500), wait(3), wait(40))

    with asyncio.Runner(loop_factory=clock.loop) as runner:
        runner.run(main())
    assert seen == [(3, 3), (40, 40), (500, 500)]
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


# --- an environment ---------------------------------------------------------------------------------


def test_an_environment_is_gone_after_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-developer")
    before, undone = dict(os.environ), []
    with Environment() as made:
        assert "OPENAI_API_KEY" not in os.environ
        assert Path.home() == made.folder
        made.set("WEATHER_TOKEN", "t")
        assert made.spell("a/hello.lua", "return 1").engine == "lua"
        assert made.file("a/data.bin", b"\0").read_bytes() == b"\0"
        made.at_the_end(lambda: undone.append(made.folder.exists()))
    assert undone == [True]
    assert not made.folder.exists()
    assert dict(os.environ) == before


def test_an_environment_is_undone_when_its_block_fails() -> None:
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError) as caught, Environment() as made:
        made.at_the_end(lambda: 1 / 0)
        raise RuntimeError("broken")
    assert isinstance(caught.value.__context__, RuntimeError)
    assert not made.folder.exists()
    assert dict(os.environ) == before


# --- a model ----------------------------------------------------------------------------------------


def ask(server: ModelServer, path: str = "chat/completions", **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{server.base_url}/{path}", json={"model": "m", **body})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def question(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_a_script_is_said_in_its_order_and_what_was_asked_is_known() -> None:
    script = (
        ModelScript("m")
        .says("one", tokens=(3, 1))
        .calls("weather", {"city": "Bern"})
        .fails(429, "slow down", retry_after=2)
        .embeds([1.0, 0.0], [0.0, 1.0])
    )
    with script.server() as server:
        first = ask(server, **question("a"))
        assert first["choices"][0]["message"]["content"] == "one"
        assert first["usage"]["prompt_tokens"] == 3
        call = ask(server, **question("b"))["choices"][0]["message"]["tool_calls"][0]
        assert json.loads(call["function"]["arguments"]) == {"city": "Bern"}
        with pytest.raises(httpx.HTTPStatusError) as caught:
            ask(server, **question("c"))
        refused = caught.value.response
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        vectors = ask(server, "embeddings", input=["x", "y"])["data"]
        assert [each["embedding"] for each in vectors] == [[1.0, 0.0], [0.0, 1.0]]
        assert server.asked("m")[:3] == ["a", "b", "c"]
        assert server.left("m") == 0
        assert ask(server, **question("d"))["choices"][0]["message"]["content"] == "d"


@pytest.mark.parametrize(
    ("kind", "count", "good"), [("success", 3, 3), ("error", 8, 0), ("edge", 7, 5), ("load", 2, 2)]
)
def test_there_are_sets_of_answers_of_each_kind(kind: Kind, count: int, good: int) -> None:
    with ModelScript.of(kind, "m").server() as server:
        assert server.left("m") == count
        answered = 0
        for _ in range(count):
            try:
                answered += bool(ask(server, **question("a")).get("choices"))
            except (httpx.HTTPError, json.JSONDecodeError):
                continue
        assert (server.left("m"), answered) == (0, good)


def test_faults_of_a_script_reach_the_client() -> None:
    script = ModelScript("m").hangs_up().garbles()
    with script.server() as server:
        with pytest.raises(httpx.RemoteProtocolError):
            ask(server, **question("a"))
        with pytest.raises(json.JSONDecodeError):
            ask(server, **question("b"))


def test_an_answer_waits_at_a_gate_until_the_test_opens_it() -> None:
    gate = Gate()

    async def main(server: ModelServer) -> str:
        asked = asyncio.create_task(asyncio.to_thread(ask, server, **question("a")))
        await asyncio.to_thread(gate.wait_reached)
        assert not asked.done()
        gate.open()
        answer = await asked
        return str(answer["choices"][0]["message"]["content"])

    with ModelScript("m").says("late", gate=gate).server() as server:
        assert asyncio.run(main(server)) == "late"
