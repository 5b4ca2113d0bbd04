"""What no table of cases shows of limits: when a bomb dies, and that logs arrive before it does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from llmspell_supervisor import LogEntry, Policy, Spell, Supervisor
from llmspell_testkit import Stage

if TYPE_CHECKING:
    from llmspell_supervisor import RunReport

BOMBS = {
    "infinite loop": ("while true do end", "while (true);"),
    "pattern": (
        "return string.find(string.rep('a', 400), ('.-'):rep(12) .. 'b')",
        "return /(a+)+$/.test('a'.repeat(60) + 'b')",
    ),
    "regular expression": (
        "return string.match(string.rep('a', 60), string.rep('a?', 60) .. string.rep('a', 60))",
        "return /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60))",
    ),
}


@pytest.mark.undisturbed
@pytest.mark.parametrize("engine", ["lua", "javascript"])
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("limit", ["cpu", "timeout"])
def test_a_bomb_dies_near_its_deadline(
    llmspell_stage: Stage, bomb: str, limit: str, engine: str
) -> None:
    lua, javascript = BOMBS[bomb]
    source = lua if engine == "lua" else javascript
    policy: dict[str, Any] = {limit: 0.3}
    report = llmspell_stage.run(source, engine, **policy)
    assert report.verdict == ("cpu_limit" if limit == "cpu" else "wall_limit")
    used = report.usage.cpu if limit == "cpu" else report.usage.wall
    # 100 ms is what is promised on an idle machine; the suite may share two cores.
    assert 0.28 < used < 1.3


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_logs_arrive_while_the_spell_still_runs(engine: str) -> None:
    source = {
        "lua": "console.log('first') util.sleep(60000)",
        "javascript": "console.log('first'); await util.sleep(60000)",
    }[engine]

    async def watch() -> tuple[list[LogEntry], RunReport]:
        seen: list[LogEntry] = []

        def stop(entry: LogEntry) -> None:
            seen.append(entry)
            supervisor.cancel_all()

        supervisor = Supervisor(on_log=stop)
        async with supervisor:
            spell = Spell.from_text(source, engine)
            return seen, await supervisor.run(spell, policy=Policy(timeout=30))

    began = time.monotonic()
    seen, report = asyncio.run(watch())
    assert [entry.text for entry in seen] == ["first"]
    assert report.verdict == "cancelled"
    assert time.monotonic() - began < 20
