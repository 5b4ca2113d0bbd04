"""Calls that the test kit itself puts into a spell: they are none of the spell's."""

from __future__ import annotations

from typing import Final

from llmspell_supervisor._budget import RunBudget

OURS: Final = ("recorded_clock.wait", "spell_coverage.lines")
"""Timers, and the word of which lines were run."""


class KitBudget(RunBudget):
    """A budget that does not count them."""

    def count_call(self, method: str) -> bool:
        """Count a call. False when it is one more than the policy gives."""
        return method in OURS or super().count_call(method)
