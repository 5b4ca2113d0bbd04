"""What a run made is freed with its report: nothing is left for the collector, which comes late."""

from __future__ import annotations

import asyncio
import gc

import pytest

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, method
from llmspell_protocol import ScriptFunction
from llmspell_supervisor import Policy, Spell, Supervisor
from tests.support.garbage import only_new_objects

SPELLS = {
    "a value": ("return {1, 2}", "return [1, 2]", "ok"),
    "a log": ("console.log('x')", "console.log('x')", "ok"),
    "an error": ("error({a = 1})", "throw { a: 1 }", "script_error"),
    "a syntax error": ("return {", "return {", "script_error"),
    "no end": ("while true do end", "for (;;);", "wall_limit"),
    "too many calls": (
        "for i = 1, 9 do desk.echo(i) end",
        "for (let i = 0; i < 9; i++) await desk.echo(i)",
        "call_limit",
    ),
    "a call": ("return desk.echo(1)", "return await desk.echo(1)", "ok"),
    "a function": (
        "return desk.apply(function(n) return n + 1 end)",
        "return await desk.apply((n) => n + 1)",
        "ok",
    ),
    "a call that fails": (
        "return pcall(desk.fail)",
        "try { await desk.fail() } catch (error) { return error.kind }",
        "ok",
    ),
    "a call at the end": ("desk.hang()", "await desk.hang()", "wall_limit"),
    "what is not granted": ("llm.complete('x')", "await llm.complete('x')", "script_error"),
}
POLICY = Policy(allow_bridges=("desk",), timeout=0.3, cpu=10, max_calls=4)


class Desk(Bridge):
    name = "desk"

    @method
    async def echo(self, ctx: CallContext, value: int) -> int:
        """The value."""
        return value

    @method
    async def apply(self, ctx: CallContext, function: ScriptFunction) -> int:
        """What the function makes of 1."""
        return int(await ctx.invoke(function, 1))

    @method
    async def fail(self, ctx: CallContext) -> None:
        """Nothing."""
        raise BridgeError("Network", "no")

    @method
    async def hang(self, ctx: CallContext) -> None:
        """Nothing, ever."""
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_nothing_of_a_run_is_left_for_the_collector(engine: str) -> None:
    async def garbage() -> dict[str, int]:
        found = {}
        async with Supervisor() as supervisor:
            supervisor.bridges.add(Desk(BridgeConfig()))
            for what, (lua, javascript, verdict) in SPELLS.items():
                spell = Spell.from_text(lua if engine == "lua" else javascript, engine, "x")
                for _ in range(2):  # the first one imports
                    gc.collect()
                    report = await supervisor.run(spell, policy=POLICY)
                    assert report.verdict == verdict, (what, report.problem)
                    del report
                    await asyncio.sleep(0)  # what is called when a task has ended lets it go
                    found[what] = gc.collect()
        return found

    gc.disable()
    try:
        with only_new_objects():
            assert not {what: n for what, n in asyncio.run(garbage()).items() if n}
    finally:
        gc.enable()
