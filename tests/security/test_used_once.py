"""A worker serves one run: nothing of a spell is there for the next one of the same supervisor."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_supervisor import RunReport, Spell, Supervisor

LEAVES = {
    "lua": "secret = 42 string.secret = 42 math.secret = 42 return 1",
    "javascript": "globalThis.secret = 42; Array.prototype.secret = 42; Math.secret = 42; return 1",
}
LOOKS = {
    "lua": "return {secret, string.secret, math.secret, ('x').secret}",
    "javascript": "return [globalThis.secret, [].secret, Math.secret].filter((x) => x)",
}
RUNS = 4
"""More than wait ready for a spell at any time, so that one of them would come round again."""


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_spell_finds_nothing_of_those_before_it(engine: str) -> None:
    async def scenario() -> list[RunReport]:
        async with Supervisor() as supervisor:
            spells = [Spell.from_text(source[engine], engine) for source in (LEAVES, LOOKS)]
            return [await supervisor.run(spell) for _ in range(RUNS) for spell in spells]

    reports = asyncio.run(scenario())
    assert [report.verdict for report in reports] == ["ok"] * 2 * RUNS
    assert [report.value for report in reports] == [1, []] * RUNS
