"""What agents and workflows do on the host: counted and recorded as if the spell had called it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_supervisor import Config, Supervisor
from llmspell_supervisor._audit import verify
from llmspell_testkit.model_server import Answer
from tests.e2e.llm_stage import LANGUAGES, Language, Stage, open_stage

pytestmark = [
    pytest.mark.xdist_group("litellm"),  # imported once
    pytest.mark.parametrize("language", LANGUAGES),
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
]

TEAM: dict[Language, str] = {
    "lua": """
        local poet = llm.agent({name = "poet"})
        local agent = llm.agent({tools = {poet, "calculator", {
            name = "shout", parameters = {additionalProperties = true},
            handler = function() return tools.calculator("1 + 1") end,
        }}})
        return agent:run("Go").content
    """,
    "javascript": """
        const poet = await llm.agent({name: "poet"});
        const agent = await llm.agent({tools: [poet, "calculator", {
            name: "shout", parameters: {additionalProperties: true},
            handler: async () => await tools.calculator("1 + 1"),
        }]});
        return (await agent.run("Go")).content;
    """,
}
STEPS: dict[Language, str] = {
    "lua": """
        local flow = workflow.sequential({name = "w"})
        flow:add_step({name = "a", agent = llm.agent({name = "poet"}), prompt = "An owl"})
        flow:add_step({name = "b", tool = "calculator", args = {expression = "6 * 7"}})
        flow:add_step({name = "c", model = "test/default", prompt = "Hi"})
        flow:add_step({name = "d", run = function() return "free" end})
        return flow:run().output
    """,
    "javascript": """
        const flow = await workflow.sequential({name: "w"});
        await flow.addStep({name: "a", agent: await llm.agent({name: "poet"}), prompt: "An owl"});
        await flow.addStep({name: "b", tool: "calculator", args: {expression: "6 * 7"}});
        await flow.addStep({name: "c", model: "test/default", prompt: "Hi"});
        await flow.addStep({name: "d", run: () => "free"});
        return (await flow.run()).output;
    """,
}
AGAIN: dict[Language, str] = {
    "lua": """
        local agent = llm.agent({max_turns = 100, tools = {"calculator"}})
        pcall(agent.run, agent, "Go")
        return "caught it"
    """,
    "javascript": """
        const agent = await llm.agent({max_turns: 100, tools: ["calculator"]});
        try { await agent.run("Go"); } catch {}
        return "caught it";
    """,
}
MANY: dict[Language, str] = {
    "lua": """
        local flow = workflow.loop({name = "w", times = 50})
        flow:add_step({name = "b", tool = "calculator", args = {expression = "6 * 7"},
            on_error = "continue"})
        pcall(flow.run, flow)
        return "caught it"
    """,
    "javascript": """
        const flow = await workflow.loop({name: "w", times: 50});
        await flow.addStep({name: "b", tool: "calculator", args: {expression: "6 * 7"},
            on_error: "continue"});
        try { await flow.run(); } catch {}
        return "caught it";
    """,
}
ALL = {"allow_bridges": ("llm", "tools", "workflow")}
SUM = ("calculator", '{"expression": "6 * 7"}')


class Audited:
    """A supervisor that keeps a log, beside the stage's own."""

    def __init__(self, stage: Stage, supervisor: Supervisor, log: Path) -> None:
        self.stage = stage
        self._supervisor = supervisor
        self._log = log

    def run(self, language: Language, sources: dict[Language, str], **policy: Any) -> Any:
        """The report, and the records of the calls."""
        before = len(self._log.read_text().splitlines()) if self._log.exists() else 0
        granted = {**ALL, **policy}
        report = self.stage.run(language, sources, supervisor=self._supervisor, **granted)
        assert verify(str(self._log)).open_runs == 0
        lines = map(json.loads, self._log.read_text().splitlines()[before:])
        return report, [line for line in lines if line["type"] == "call"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    log = tmp_path_factory.mktemp("log") / "audit.jsonl"
    with open_stage() as stage:
        config = Config(bridges={"llm": stage.settings})
        supervisor = Supervisor(config, audit=str(log))
        stage.until(supervisor.__aenter__())
        yield Audited(stage, supervisor, log)
        stage.until(supervisor.__aexit__())


@pytest.fixture
def audited(shared: Audited) -> Audited:
    shared.stage.clear()
    return shared


def told(records: list[dict[str, Any]]) -> list[tuple[int, str, str, str]]:
    return [(r["call"], r["nested"], r["method"], r["outcome"]) for r in records]


def test_what_an_agent_does_is_counted_and_recorded_within_its_call(
    audited: Audited, language: Language
) -> None:
    audited.stage.server.script(
        "default",
        Answer("", tool_calls=(("poet", '{"input": "owls"}'),), prompt_tokens=10),
        Answer("Hoo.", prompt_tokens=20),
        Answer("", tool_calls=(SUM,), prompt_tokens=30),
        Answer("", tool_calls=(("shout", "{}"), ("calculator", '{"expression": 7}'))),
        Answer("done"),
    )
    report, records = audited.run(language, TEAM)
    assert report.value == "done"
    by_path = {(r["call"], r["nested"]): r for r in records}
    assert sorted(told(records)) == [
        (1, "", "llm.agent", "ok"),
        (2, "", "llm.agent", "ok"),
        (3, "", "llm.agent.run", "ok"),
        (3, "1", "llm.complete", "ok"),
        (3, "2", "llm.agent.run", "ok"),
        (3, "2.1", "llm.complete", "ok"),
        (3, "3", "llm.complete", "ok"),
        (3, "4", "tools.calculator", "ok"),
        (3, "5", "llm.complete", "ok"),
        (3, "6", "tools.call", "ok"),
        (3, "7", "tools.calculator", "Validation"),
        (3, "8", "llm.complete", "ok"),
        (4, "", "tools.calculator", "ok"),
    ]
    assert by_path[3, "1"]["detail"]["model"] == "test/default"
    assert by_path[3, "2"]["detail"]["tool"] == "poet"
    assert by_path[3, "6"]["detail"]["tool"] == "shout"
    assert by_path[3, "2"]["tokens"] == by_path[3, "2.1"]["tokens"] > 20
    whole = report.usage.prompt_tokens + report.usage.completion_tokens
    assert by_path[3, ""]["tokens"] == whole
    assert by_path[3, "4"]["size"] == len(b"\x2a")
    assert report.usage.calls == {
        "llm.agent": 2, "llm.agent.run": 2, "llm.complete": 5, "tools.calculator": 3,
        "tools.call": 1,
    }  # fmt: skip


def test_steps_of_a_workflow_are_counted_and_recorded_but_for_functions_of_the_spell(
    audited: Audited, language: Language
) -> None:
    audited.stage.server.script("default", Answer("Hoo."), Answer("Hello."))
    report, records = audited.run(language, STEPS)
    assert report.value == "free"
    steps = [(n, m, o) for c, n, m, o in told(records) if c == max(r["call"] for r in records)]
    assert steps == [
        ("1.1", "llm.complete", "ok"),
        ("1", "llm.agent.run", "ok"),
        ("2", "tools.call", "ok"),
        ("3", "llm.complete", "ok"),
        ("", "workflow.flow.run", "ok"),
    ]
    assert records[-3]["detail"] == {"tool": "calculator"}


@pytest.mark.parametrize(("sources", "calls"), [(AGAIN, 12), (MANY, 9)])
def test_no_agent_and_no_workflow_calls_more_than_the_policy_gives(
    audited: Audited, language: Language, sources: dict[Language, str], calls: int
) -> None:
    audited.stage.server.script("default", *[Answer("", tool_calls=(SUM,))] * 50)
    report, records = audited.run(language, sources, max_calls=calls)
    assert report.verdict == "call_limit"
    assert f"{calls} calls (limit: max_calls)" in report.problem.message
    assert sum(report.usage.calls.values()) == calls
    outcomes = [r["outcome"] for r in records]
    assert outcomes.count("ok") == calls - 1
    assert set(outcomes) == {"ok", "call_limit"}
    assert (records[-1]["nested"], records[-1]["outcome"]) == ("", "call_limit")
    assert len(audited.stage.asked()) <= calls


def test_agents_that_work_at_once_share_what_is_left(audited: Audited, language: Language) -> None:
    sources: dict[Language, str] = {
        "lua": """
            local a = llm.agent({max_turns = 100, tools = {"calculator"}})
            local b = llm.agent({max_turns = 100, tools = {"calculator"}})
            llm.parallel({{agent = a, input = "1"}, {agent = b, input = "2"}})
        """,
        "javascript": """
            const a = await llm.agent({max_turns: 100, tools: ["calculator"]});
            const b = await llm.agent({max_turns: 100, tools: ["calculator"]});
            await llm.parallel([{agent: a, input: "1"}, {agent: b, input: "2"}]);
        """,
    }
    audited.stage.server.script("default", *[Answer("", tool_calls=(SUM,))] * 50)
    report, _ = audited.run(language, sources, max_calls=15)
    assert report.verdict == "call_limit"
    assert sum(report.usage.calls.values()) == 15
