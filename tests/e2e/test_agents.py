"""Agents of real spells: what reaches them while the model still answers, and how runs end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from llmspell_supervisor import LogEntry
from llmspell_testkit.model_server import Answer, Gate
from tests.e2e.llm_stage import LANGUAGES, Language, Stage, open_stage

pytestmark = [
    pytest.mark.xdist_group("litellm"),  # imported once
    pytest.mark.parametrize("language", LANGUAGES),
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
]

STREAM: dict[Language, str] = {
    "lua": """
        local agent = llm.agent({tools = {{
            name = "weather", parameters = {additionalProperties = true},
            handler = function() return "sun" end,
        }}})
        local stream = agent:run_stream("Weather?")
        for event in stream do console.log(event.type .. " " .. (event.content or event.name)) end
        return stream.result.content
    """,
    "javascript": """
        const agent = await llm.agent({tools: [{
            name: "weather", parameters: {additionalProperties: true}, handler: async () => "sun",
        }]});
        const stream = agent.runStream("Weather?");
        for await (const event of stream)
            console.log(`${event.type} ${event.content ?? event.name}`);
        return (await stream.result).content;
    """,
}
TOGETHER: dict[Language, str] = {
    "lua": """
        local one, two = llm.agent({model = "test/one"}), llm.agent({model = "test/two"})
        local found = llm.parallel({{agent = one, input = "1"}, {agent = two, input = "2"}})
        return found[1] .. found[2]
    """,
    "javascript": """
        const one = await llm.agent({model: "test/one"}), two = await llm.agent({model: "test/two"});
        const found = await Promise.all([one.run("1"), two.run("2")]);
        return found[0] + found[1];
    """,
}
LOOP: dict[Language, str] = {
    "lua": """
        local agent = llm.agent({max_turns = 100, max_tokens = 10, tools = {{
            name = "again", handler = function() return "again" end,
        }}})
        local ok = pcall(agent.run, agent, "Go")
        return "caught it"
    """,
    "javascript": """
        const agent = await llm.agent({max_turns: 100, max_tokens: 10, tools: [{
            name: "again", handler: () => "again",
        }]});
        try { await agent.run("Go"); } catch {}
        return "caught it";
    """,
}
WAIT: dict[Language, str] = {
    "lua": 'return llm.agent({}):run("Hi").content',
    "javascript": 'return (await (await llm.agent({})).run("Hi")).content',
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    with open_stage() as stage:
        stage.run("lua", WAIT)  # imports the libraries, which on a busy machine takes half a minute
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Stage:
    return shared.clear()


class Heard:
    """What a spell has said on its console, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()

    def __call__(self, entry: LogEntry) -> None:
        with self._more:
            self.lines.append(entry.text)
            self._more.notify_all()

    def wait_for(self, line: str) -> bool:
        """Wait until it has said so."""
        with self._more:
            return self._more.wait_for(lambda: line in self.lines, timeout=30)


def test_a_token_reaches_the_spell_while_the_model_still_answers(
    stage: Stage, language: Language
) -> None:
    gate = Gate()
    stage.server.script(
        "default",
        Answer("", tool_calls=(("weather", "{}"),)),
        Answer("first second", gate=gate, gate_after=1),
    )
    stage.on_log = heard = Heard()

    async def watch() -> None:
        run = asyncio.ensure_future(stage.start(language, STREAM))
        assert await asyncio.to_thread(heard.wait_for, "text first")
        assert heard.lines == ["tool_call weather", "tool_result weather", "text first"]
        gate.open()  # only now does the server write the second word
        report = await run
        assert report.value == "first second"

    stage.until(watch())
    assert heard.lines[-1] == "text  second"


def test_agents_of_a_spell_work_at_the_same_time(stage: Stage, language: Language) -> None:
    gates = Gate(), Gate()
    stage.server.script("one", Answer("a", gate=gates[0]))
    stage.server.script("two", Answer("b", gate=gates[1]))

    async def watch() -> None:
        run = asyncio.ensure_future(stage.start(language, TOGETHER))
        for gate in gates:
            await asyncio.to_thread(gate.wait_reached)
        for gate in gates:
            gate.open()
        assert (await run).value == "ab"

    stage.until(watch())


@pytest.mark.attack("B23")
def test_the_budget_ends_the_run_and_no_agent_catches_it(stage: Stage, language: Language) -> None:
    again = Answer("", tool_calls=(("again", "{}"),), prompt_tokens=200, completion_tokens=10)
    stage.server.script("default", *[again] * 50)
    report = stage.run(language, LOOP, max_tokens=1000)
    assert report.verdict == "cost_limit"
    assert report.usage.prompt_tokens + report.usage.completion_tokens <= 1000
    assert len(stage.asked()) < 6


@pytest.mark.attack("B28")
def test_a_run_that_is_over_hangs_up_on_the_model(stage: Stage, language: Language) -> None:
    gate = Gate()
    stage.server.script("default", Answer("never", gate=gate))
    for seconds in gate.short_timeouts(2.0):
        report = stage.run(language, WAIT, timeout=seconds)
        assert report.verdict == "wall_limit"
    stage.wait(gate.wait_abandoned)
