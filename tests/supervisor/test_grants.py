"""What a spell is told that uses what nobody granted, and that budgets hold under concurrency."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method
from llmspell_supervisor import ConfigError, Policy, Usage
from llmspell_supervisor._budget import RunBudget
from llmspell_testkit import Stage


class Desk(Bridge):
    """Two methods, and one that waits for its like before it spends."""

    name: ClassVar[str] = "desk"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.waiting = 0
        self.most = 0
        self.effects = 0

    @method
    async def read_page(self, ctx: CallContext) -> str:
        """A page."""
        return "page"

    @method
    async def write_page(self, ctx: CallContext) -> None:
        """Write one."""

    @method
    async def spend(self, ctx: CallContext, tokens: int, cost: float) -> None:
        """Reserve only when no more calls can come, and book all of it."""
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        while self.waiting < CONCURRENT and not self.effects:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0)
        held = ctx.budget.reserve(tokens=tokens, cost=cost)
        await asyncio.sleep(0)
        self.effects += 1
        held.settle(prompt_tokens=tokens, cost=cost)
        self.waiting -= 1


CONCURRENT = 64
"""As many calls as a run can have open (`max_concurrent`)."""


@pytest.fixture
def desk(llmspell_stage: Stage) -> Iterator[Desk]:
    bridge = Desk()
    with llmspell_stage.having(bridge):
        yield bridge


@pytest.mark.parametrize(
    ("engine", "source", "grants", "missing"),
    [
        ("lua", "desk.read_page()\ndesk.write_page()", ("desk.read_page",), "desk.write_page"),
        (
            "javascript",
            "await desk.readPage();\nawait desk.writePage()",
            ("desk.read_page",),
            "desk.write_page",
        ),
        ("lua", "\nllm.models()", ("desk",), "llm.models"),
        ("javascript", "\nawait llm.models()", (), "llm.models"),
    ],
)
def test_who_uses_what_is_not_granted_is_told_which_flag_grants_it(
    llmspell_stage: Stage,
    desk: Desk,
    engine: str,
    source: str,
    grants: tuple[str, ...],
    missing: str,
) -> None:
    report = llmspell_stage.run(source, engine, allow_bridges=grants)
    assert report.verdict == "script_error"
    assert report.problem is not None
    assert report.problem.line == 2
    assert report.problem.hint == f"{missing} is not granted: run with --allow-bridge {missing}"


@pytest.mark.parametrize(
    "source",
    [
        "desk.no_such()",  # there is none to grant
        "nowhere.read()",
        "desk.read_page() error('desk')",  # granted
    ],
)
def test_other_errors_get_no_such_hint(llmspell_stage: Stage, desk: Desk, source: str) -> None:
    report = llmspell_stage.run(source, "lua", allow_bridges=("desk.read_page",))
    assert report.verdict == "script_error"
    assert report.problem is not None
    assert "not granted" not in report.problem.hint


def test_a_grant_of_a_method_that_there_is_not_is_refused_with_the_nearest(
    llmspell_stage: Stage, desk: Desk
) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'desk\.read_page'") as caught:
        llmspell_stage.run("return 1", "lua", allow_bridges=("desk.read_pages",))
    assert "desk.spend" in caught.value.hint


# --- budgets --------------------------------------------------------------------------------------


@pytest.mark.attack("B24")
@pytest.mark.parametrize(
    ("arguments", "limits", "verdict", "fit"),
    [
        ("7, 0.001", {"max_tokens": 100}, "cost_limit", 14),
        ("1, 0.25", {"max_cost": 2.0}, "cost_limit", 8),
        ("0, 0", {"max_calls": 90}, "call_limit", 90),
    ],
    ids=["tokens", "cost", "calls"],
)
def test_a_hundred_calls_at_once_overrun_no_budget(
    llmspell_stage: Stage,
    desk: Desk,
    arguments: str,
    limits: dict[str, Any],
    verdict: str,
    fit: int,
) -> None:
    report = llmspell_stage.run(
        f"await Promise.all(Array.from({{length: 100}}, () => desk.spend({arguments})))",
        "javascript",
        **{
            "allow_bridges": ("desk",),
            "max_concurrent": CONCURRENT,
            "max_tokens": 10_000,
            "max_cost": 100.0,
            **limits,
        },
    )
    assert report.verdict == verdict
    assert desk.most == CONCURRENT
    assert desk.effects <= fit
    used = report.usage
    assert used.prompt_tokens <= report.policy.max_tokens
    assert used.cost <= report.policy.max_cost
    assert sum(used.calls.values()) <= report.policy.max_calls


@pytest.mark.attack("B24")
def test_a_hundred_tasks_that_check_together_reserve_exactly_what_there_is() -> None:
    usage = Usage()
    budget = RunBudget(Policy(max_tokens=100, max_cost=1.0, max_calls=50, max_output=1000), usage)
    gate = asyncio.Event()

    async def call() -> bool:
        await gate.wait()
        if not budget.count_call("desk.spend") or not budget.count_output(30):
            return False
        held = budget.reserve(tokens=3, cost=0.01)
        await asyncio.sleep(0)
        held.settle(prompt_tokens=3, cost=0.01)
        return True

    async def all_at_once() -> list[bool | BaseException]:
        tasks = [asyncio.create_task(call()) for _ in range(100)]
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(all_at_once())
    assert results.count(True) == 33  # tokens: 99 of 100, bytes: 990 of 1000
    assert (usage.prompt_tokens, usage.output, usage.calls) == (99, 990, {"desk.spend": 50})
    assert budget.tokens_left == 1
    assert budget.cost_left == pytest.approx(0.67)
