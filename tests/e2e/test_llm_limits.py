"""Who answers, what a run may spend, and that nothing of a call is left when its run is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_supervisor import Config, Supervisor
from llmspell_testkit.model_server import Answer, Flood, Gate, Refusal
from tests.e2e.llm_stage import FAIL, LANGUAGES, Language, Stage, open_stage

# pytest resets the filters that the bridge sets for litellm.
pytestmark = [
    pytest.mark.xdist_group("litellm"),  # imported once
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
    pytest.mark.filterwarnings("ignore:coroutine 'OpenAIChatCompletion:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
both = pytest.mark.parametrize("language", LANGUAGES)

MIB = 1024 * 1024
FAN_OUT = """
    const calls = Array.from({length: params.count}, (_, i) =>
        llm.complete({model: params.model, prompt: "x", max_tokens: 50, retries: {attempts: 1}}));
    return (await Promise.all(calls)).length;
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        with open_stage(aliases={"writer": "test/aliased", "boss": "test/by-alias"}) as opened:
            # The same server plays a provider whose prices are known.
            base = {"base_url": opened.server.base_url}
            with open_stage(providers={"openai": base, "test": base}) as priced:
                opened.priced = priced
                yield opened


@pytest.fixture
def stage(shared: Stage) -> Stage:
    return shared.clear()


@both
@pytest.mark.parametrize(
    ("operator", "spell", "answers"),
    [
        ("test/operator", "writer", "operator"),
        ("boss", "writer", "by-alias"),
        (None, "writer", "aliased"),
        (None, "test/own", "own"),
        (None, None, "default"),
    ],
)
def test_the_operator_stands_above_alias_spell_and_default(
    stage: Stage, language: Language, operator: str | None, spell: str | None, answers: str
) -> None:
    async def work() -> None:
        config = Config(bridges={"llm": stage.settings})
        async with Supervisor(config, model=operator) as supervisor:
            request: dict[str, Any] = {"prompt": "x"}
            if spell is not None:
                request["model"] = spell
            report = await stage.start(
                language, FAIL, params={"request": request}, supervisor=supervisor
            )
            assert report.verdict == "ok", report.problem

    stage.until(work())
    assert [body["model"] for body in stage.asked()] == [answers]


@both
def test_tokens_beyond_the_budget_are_never_asked_for(stage: Stage, language: Language) -> None:
    request = {"model": "test/m", "prompt": "x", "max_tokens": 50}
    report = stage.fail(language, request, max_tokens=40)
    assert (report.verdict, report.exit_code) == ("cost_limit", 15)
    assert report.problem is not None
    assert "--max-tokens" in report.problem.hint
    assert stage.asked() == []


@both
def test_money_beyond_the_budget_is_never_spent(stage: Stage, language: Language) -> None:
    request = {"model": "gpt-4o", "prompt": "x", "max_tokens": 2000}
    report = stage.priced.fail(language, request, max_cost=0.01)
    assert report.verdict == "cost_limit"
    assert report.problem is not None
    assert "--max-cost" in report.problem.hint
    assert stage.asked() == []


@both
def test_a_budget_cannot_be_caught(stage: Stage, language: Language) -> None:
    sources: dict[Language, str] = {
        "lua": "pcall(llm.complete, {prompt = 'x', max_tokens = 50}) return 'caught'",
        "javascript": "try { await llm.complete({prompt: 'x', max_tokens: 50}) } catch {} return 1",
    }
    assert stage.run(language, sources, max_tokens=40).verdict == "cost_limit"


def test_twenty_calls_at_once_stay_within_the_budget(stage: Stage) -> None:
    stage.server.script("m", *[Answer("x", prompt_tokens=10, completion_tokens=50)] * 20)
    params = {"count": 20, "model": "test/m"}
    report = stage.run("javascript", {"javascript": FAN_OUT}, params=params, max_tokens=400)
    assert report.verdict == "cost_limit"
    assert report.usage.prompt_tokens + report.usage.completion_tokens <= 400
    assert len(stage.asked()) <= 400 // 60


def test_no_more_calls_are_on_the_wire_than_may_be_open_at_once(stage: Stage) -> None:
    gates = [Gate() for _ in range(3)]
    stage.server.script("m", *[Answer("x", gate=gate) for gate in gates])
    params = {"count": 12, "model": "test/m"}

    async def work() -> Any:
        run = asyncio.create_task(
            stage.start("javascript", {"javascript": FAN_OUT}, params=params, max_concurrent=3)
        )
        for gate in gates:
            await asyncio.to_thread(gate.wait_reached)
        for gate in gates:
            gate.open()
        return await run

    report = stage.until(work())
    assert (report.verdict, report.value) == ("ok", 12), report.problem
    assert stage.server.busiest == 3
    assert len(stage.asked()) == 12


@both
def test_a_call_ends_at_request_timeout(stage: Stage, language: Language) -> None:
    gate = Gate()
    for timeout in gate.short_timeouts(0.5):
        stage.server.script("m", Answer("late", gate=gate))
        found = stage.ask(language, {"model": "test/m", "prompt": "x"}, request_timeout=timeout)
        assert (found["kind"], found["retryable"]) == ("Timeout", True)
        assert 0 < found["duration"] <= timeout
    stage.wait(gate.wait_abandoned)


@both
def test_a_server_that_never_stops_is_cut_off(stage: Stage, language: Language) -> None:
    flood = Flood(b" " * 4096, head=b'{"choices": [')
    stage.server.script("m", flood)
    request = {"model": "test/m", "prompt": "x"}
    found = stage.ask(language, request, max_response=MIB)
    assert found["kind"] == "Limit"
    assert "max_response" in found["message"]
    stage.wait(lambda: flood.abandoned.wait(30))
    # What was read, and what the kernel's buffers held.
    assert flood.sent < 24 * MIB


@both
def test_without_the_bridge_there_is_no_call(stage: Stage, language: Language) -> None:
    report = stage.fail(language, "x", allow_bridges=())
    assert report.verdict in {"policy_denied", "script_error"}
    assert stage.asked() == []


@both
@pytest.mark.parametrize("how", ["task", "supervisor", "worker"])
def test_a_call_ends_with_its_run(stage: Stage, language: Language, how: str) -> None:
    gate = Gate()
    stage.server.script("m", Answer("late", gate=gate))
    params = {"request": {"model": "test/m", "prompt": "x"}}

    async def work() -> str:
        run = asyncio.create_task(stage.start(language, FAIL, params=params))
        await asyncio.to_thread(gate.wait_reached)
        if how == "task":
            run.cancel()
        elif how == "supervisor":
            stage.supervisor.cancel_all()
        elif how == "worker":
            (active,) = stage.supervisor._runs
            assert active._worker is not None
            active._worker.kill()
        try:
            return (await run).verdict
        except asyncio.CancelledError:
            return "task"

    verdict = stage.until(work())
    expected = {"supervisor": "cancelled", "worker": "engine_crash"}
    assert verdict == expected.get(how, "task")
    stage.wait(gate.wait_abandoned)
    assert len(stage.asked()) == 1


@both
def test_a_call_ends_with_the_time_of_its_run(stage: Stage, language: Language) -> None:
    gate = Gate()
    params = {"request": {"model": "test/m", "prompt": "x"}}
    for timeout in gate.short_timeouts(0.6):
        stage.clear().server.script("m", Answer("late", gate=gate))
        report = stage.run(language, FAIL, params=params, timeout=timeout)
        assert report.verdict == "wall_limit"
    stage.wait(gate.wait_abandoned)
    assert len(stage.asked()) == 1


@both
def test_nothing_is_sent_after_the_verdict(stage: Stage, language: Language) -> None:
    stage.server.script("m", *[Refusal(500)] * 50)
    request: dict[str, Any] = {"model": "test/m", "prompt": "x"}
    request["retries"] = {"attempts": 10, "base_delay": 0.2, "backoff": "constant"}

    async def work() -> None:
        asyncio.get_running_loop().call_later(0.5, stage.supervisor.cancel_all)
        report = await stage.start(language, FAIL, params={"request": request}, timeout=30)
        assert report.verdict == "cancelled"
        ours = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        # litellm keeps a task of its own for its log, which is switched off.
        left = [t for t in ours if "litellm" not in repr(t.get_coro())]
        assert not [t for t in left if "Logging" not in repr(t)]

    stage.until(work())
    assert 1 <= len(stage.asked()) <= 4
