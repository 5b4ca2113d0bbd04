"""Trouble by a plan: what bridges, workers, disks and clocks do to runs, and what was lost by it.

    chaos = Chaos(Plan(seed=7, errors=0.1, cuts=0.1, kills=0.02))
    report = chaos.run(spells, bridges=[ledger], policy=Policy(allow_bridges=("ledger",)))
    assert not report.lost, report.summary()

The same seed strikes the same calls of the same runs, however they are interleaved.
"""

from __future__ import annotations

from ._plan import FAULTS, Fault, Plan
from ._report import ChaosReport
from ._storm import Chaos

__all__ = ["FAULTS", "Chaos", "ChaosReport", "Fault", "Plan"]
