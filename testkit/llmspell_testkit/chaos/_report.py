"""What came of runs that were under fire, and what of it was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from llmspell_supervisor import CallRecord, RunReport

from ._plan import Fault


class Performed(Struct, frozen=True):
    """A call that a bridge has done to its end, whatever became of its answer."""

    run: str
    method: str


class ChaosReport(Struct, frozen=True, kw_only=True):
    """All that is known afterwards, from sources that know nothing of each other."""

    begun: int
    """Runs that were asked for."""
    reports: tuple[RunReport, ...]
    """What they came to, in the order in which they were asked for."""
    errors: tuple[str, ...] = ()
    """Of runs that gave no report: what was raised instead."""
    faults: Mapping[Fault, int]
    """How often each fault struck."""
    opened: int
    """Calls that reached a bridge's door."""
    performed: tuple[Performed, ...]
    records: tuple[CallRecord, ...]
    """What observers were told."""
    audited: int | None = None
    """Calls that the audit log holds; none where there is none."""
    unwritten: int = 0
    """Records that a full disk refused."""
    lost: tuple[str, ...] = ()
    """Everything that one source knows and another should. Nothing may be."""

    def verdicts(self) -> Mapping[str, int]:
        """How the runs ended."""
        return Counter(report.verdict for report in self.reports)

    def summary(self) -> str:
        """A few lines for a person."""
        faults = ", ".join(f"{count} {fault}" for fault, count in sorted(self.faults.items()))
        ends = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self.verdicts().items()))
        lines = [
            f"{self.begun} runs: {ends or 'none'}",
            f"{self.opened} calls, {len(self.performed)} performed, {len(self.records)} recorded",
            f"struck: {faults or 'nothing'}",
            "lost: " + ("; ".join(self.lost) if self.lost else "nothing"),
        ]
        return "\n".join(lines)
