"""A dry run: what reads is done; what would write, send or spend is listed and answered as if."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, End, method
from llmspell_supervisor import Policy, RunReport, Spell, Supervisor
from llmspell_supervisor._dry import MAX_PLANNED, DryRun
from tests.support.command import Command


class Shop(Bridge):
    """Notes every effect that it has."""

    name: ClassVar[str] = "shop"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.effects: list[str] = []

    @method(effect="read")
    async def price(self, ctx: CallContext, item: str) -> int:
        """Read one."""
        return 7

    @method(effect="spend")
    async def buy(self, ctx: CallContext, item: str) -> dict[str, int]:
        """Spend."""
        self.effects.append(item)
        return {"left": 3}

    @method(effect="send")
    async def watch(self, ctx: CallContext) -> AsyncIterator[int | End[str]]:
        """A stream with an effect."""
        self.effects.append("watch")
        yield 1
        yield End("over")

    @method
    async def undeclared(self, ctx: CallContext) -> str:
        """Who knows."""
        self.effects.append("undeclared")
        return "done"

    @method(effect="varies")
    async def change(self, ctx: CallContext, count: int) -> int:
        """Reads for nothing, writes for more."""
        if count and ctx.dry_run:
            ctx.plan("write", f"{count} rows")
            if count > 9:
                raise BridgeError("Limit", "nine rows at most")
            return 0
        self.effects += ["row"] * count
        return count


LUA = """
local stream, pieces = shop.watch(), 0
for piece in stream do pieces = pieces + 1 end
return {
  shop.price("tea"), shop.buy("tea " .. env.WORD).left or json.null, pieces, stream.result,
  shop.undeclared(), shop.change(0), shop.change(2),
}
"""
JAVASCRIPT = """
const stream = shop.watch();
let pieces = 0;
for await (const piece of stream) pieces++;
return [
  await shop.price("tea"), (await shop.buy("tea " + env.WORD)).left ?? null, pieces,
  await stream.result, await shop.undeclared(), await shop.change(0), await shop.change(2),
];
"""


def run(source: str, engine: str, *, dry_run: bool, **policy: Any) -> tuple[RunReport, Shop]:
    bridge = Shop()

    async def once() -> RunReport:
        async with Supervisor() as supervisor:
            supervisor.bridges.add(bridge)
            spell = Spell.from_text(source, engine, "a")
            granted = Policy(**{"allow_bridges": ("shop",), "allow_env": ("WORD",), **policy})
            return await supervisor.run(spell, policy=granted, dry_run=dry_run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORD", "canary words")
        return asyncio.run(once()), bridge


@pytest.mark.parametrize(("engine", "source"), [("lua", LUA), ("javascript", JAVASCRIPT)])
def test_effects_are_listed_and_not_had(engine: str, source: str) -> None:
    report, bridge = run(source, engine, dry_run=True)
    assert report.value == [7, None, 0, "", "", 0, 0]
    assert bridge.effects == []
    assert [(p.effect, p.description) for p in report.planned] == [
        ("send", "shop.watch()"),
        ("spend", 'shop.buy(item: "tea ***")'),
        ("unknown", "shop.undeclared()"),
        ("write", "2 rows"),
    ]
    report, bridge = run(source, engine, dry_run=False)
    assert report.value == [7, 3, 1, "over", "done", 0, 2]
    assert (report.planned, report.dry_run) == ((), False)
    assert len(bridge.effects) == 5


def test_what_a_call_planned_before_it_failed_is_listed() -> None:
    report, _ = run("return pcall(shop.change, 10)", "lua", dry_run=True)
    assert report.value is False
    assert [p.description for p in report.planned] == ["10 rows"]


def test_grants_and_arguments_are_checked_as_in_earnest() -> None:
    report, _ = run("shop.buy(3)", "lua", dry_run=True)
    assert (report.verdict, report.planned) == ("script_error", ())
    report, _ = run("shop.buy('x')", "lua", dry_run=True, allow_bridges=("shop.price",))
    assert (report.verdict, report.planned) == ("script_error", ())
    report, _ = run("for _ = 1, 3 do shop.buy('x') end", "lua", dry_run=True, max_calls=2)
    assert (report.verdict, len(report.planned)) == ("call_limit", 2)


def test_the_list_is_bounded_and_the_rest_counted() -> None:
    dry = DryRun({})
    dry.add("shop.change", [("write", "a row")] * (MAX_PLANNED + 200))
    assert (len(dry.planned), dry.unlisted) == (MAX_PLANNED, 200)


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    return Command(environment, tmp_path)


def test_the_command_lists_what_a_model_would_have_been_asked(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.lua").write_text(
        "local answer = llm.complete{prompt = 'Say hello', model = 'nobody/nothing'}\n"
        "return #answer.content + answer.usage.total_tokens"
    )
    log = tmp_path / "audit.jsonl"
    done = command("run", "--dry-run", "--audit", str(log), "a.lua")
    assert done.stdout == (
        "0\n"
        "dry run: 1 effect planned, none had\n"
        '  spend   llm.complete(request: {model: "nobody/nothing", prompt: "Say hello"})\n'
    )
    assert json.loads(log.read_text().splitlines()[1])["outcome"] == "planned"
    document = json.loads(command("run", "--dry-run", "--json", "a.lua").stdout)
    assert document["dry_run"] is True
    assert [p["effect"] for p in document["planned"]] == ["spend"]
    (tmp_path / "b.lua").write_text("return 1")
    assert command("run", "--dry-run", "b.lua").stdout == (
        "1\ndry run: no effects planned, none had\n"
    )
