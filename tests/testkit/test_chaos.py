"""Under fire nothing is lost: every run has its report, every call its record, every effect its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from llmspell_bridges import Bridge, BridgeConfig, CallContext, End, method
from llmspell_supervisor import Policy, Spell
from llmspell_testkit import Chaos, ChaosReport, Plan
from llmspell_testkit.chaos import FAULTS
from llmspell_testkit.chaos._storm import _losses

CALLS = 6
SPELLS = {
    "lua": """
        local known = {}
        for i = 1, params.calls do
          local ok, n = pcall(ledger.add, i)
          if ok then known[#known + 1] = n end
        end
        local ok, e = pcall(function() for n in ledger.all() do end end)
        return known""",
    "javascript": """
        const known = [];
        for (let i = 1; i <= params.calls; i++) try { known.push(await ledger.add(i)) } catch {}
        try { for await (const n of ledger.all()); } catch {}
        return known""",
}


class Ledger(Bridge):
    """Keeps what it is told."""

    name: ClassVar[str] = "ledger"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.kept: list[int] = []

    @method
    async def add(self, ctx: CallContext, amount: int) -> int:
        """Keep an amount; returns its number."""
        self.kept.append(amount)
        return len(self.kept)

    @method
    async def all(self, ctx: CallContext) -> AsyncIterator[int | End[int]]:
        """The first amounts, then how many there are."""
        for amount in self.kept[:8]:
            yield amount
        yield End(len(self.kept))


def storm(plan: Plan, runs: int = 8, audit: Path | None = None) -> tuple[ChaosReport, Ledger]:
    ledger = Ledger()
    names = [("lua", "javascript")[number % 2] for number in range(runs)]
    spells = [Spell.from_text(SPELLS[name], name, f"{n}.{name}") for n, name in enumerate(names)]
    report = Chaos(plan).run(
        spells,
        bridges=[ledger],
        policy=Policy(allow_bridges=("ledger",)),
        params={"calls": CALLS},
        audit=str(audit) if audit else None,
    )
    return report, ledger


def adds(report: ChaosReport) -> int:
    return sum(each.method == "ledger.add" for each in report.performed)


@pytest.fixture(scope="module")
def calm() -> tuple[ChaosReport, Ledger]:
    return storm(Plan())


def test_without_faults_everything_arrives(calm: tuple[ChaosReport, Ledger]) -> None:
    report, ledger = calm
    assert not report.lost, report.summary()
    assert not report.faults
    assert report.verdicts() == {"ok": 8}
    assert report.opened == len(report.records) == len(report.performed) == 8 * (CALLS + 1)
    assert sorted(n for each in report.reports for n in each.value) == [
        *range(1, len(ledger.kept) + 1)
    ]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "full_disks"])
def test_of_one_fault_nothing_is_lost(fault: str) -> None:
    plan = Plan(seed=11, **{fault: 0.15})
    report, ledger = storm(plan)
    assert not report.lost, report.summary()
    assert report.faults.keys() == {fault}
    assert len(report.reports) == report.begun
    assert adds(report) == len(ledger.kept)
    told = [n for each in report.reports if each.ok for n in each.value]
    assert len(told) == len(set(told)), "an answer was given twice"


def test_of_all_faults_together_nothing_is_lost(tmp_path: Path) -> None:
    shares: dict[str, Any] = dict.fromkeys(FAULTS, 0.04)
    report, ledger = storm(Plan(seed=5, **shares), runs=16, audit=tmp_path / "audit.log")
    assert not report.lost, report.summary()
    assert len(report.faults) >= 5, report.summary()
    assert adds(report) == len(ledger.kept)


def test_on_a_full_disk_no_answer_is_given_that_the_log_does_not_hold(tmp_path: Path) -> None:
    report, _ = storm(Plan(seed=3, full_disks=0.1), audit=tmp_path / "audit.log")
    assert not report.lost, report.summary()
    assert report.faults.keys() == {"full_disks"}
    assert report.verdicts().get("supervisor_error", 0) + len(report.errors) > 0
    lines = (tmp_path / "audit.log").read_bytes().splitlines()
    outcomes = Counter(msgspec.json.decode(line).get("outcome") for line in lines)
    answered = sum(len(each.value) for each in report.reports if each.ok)
    assert answered <= outcomes["ok"]


def test_a_seed_strikes_the_same_calls_again() -> None:
    plan = Plan(seed=9, errors=0.3)
    first, second = (storm(plan, runs=2)[0] for _ in range(2))
    assert first.faults == second.faults
    assert [len(each.value) for each in first.reports] == [len(r.value) for r in second.reports]


def test_what_is_lost_is_told(calm: tuple[ChaosReport, Ledger]) -> None:
    report, _ = calm
    forgotten = msgspec.structs.replace(report, records=report.records[1:])
    assert any("begun" in loss for loss in _losses(forgotten, [], None))
    imagined = msgspec.structs.replace(report, performed=report.performed[1:])
    assert any("performed" in loss for loss in _losses(imagined, [], None))
    assert any("a run was lost" in loss for loss in _losses(report, [OSError("gone")], None))


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="kills: must be a share from 0 to 1, not 2"):
        Plan(kills=2)
