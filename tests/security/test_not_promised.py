"""What `docs/security.md` does not promise, as it is today."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_harness._model import Model
from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor

SENDS = {
    "lua": "return llm.complete(env.GRANTED).text",
    "javascript": "return (await llm.complete(env.GRANTED)).text",
}


@pytest.mark.xdist_group("litellm")
@pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)")
@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_spell_may_tell_a_model_what_it_was_given(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTED", "what the spell was given")

    async def once() -> tuple[RunReport, str]:
        async with Model() as model, Supervisor(Config(bridges={"llm": model.settings})) as host:
            spell = Spell.from_text(SENDS[engine], engine)
            report = await host.run(spell, policy=Policy(allow_env=("GRANTED",)))
            return report, str(model.requests)

    report, asked = asyncio.run(once())
    assert report.verdict == "ok", report.problem
    assert "what the spell was given" in asked


def test_a_jit_takes_a_wall_away_and_the_report_says_so() -> None:
    async def once() -> RunReport:
        async with Supervisor() as supervisor:
            spell = Spell.from_text("return 1", "javascript")
            return await supervisor.run(spell, policy=Policy(jit=True))

    report = asyncio.run(once())
    assert report.verdict == "ok", report.problem
    assert report.layers["write_xor_execute"] == "off: a JIT is granted"
