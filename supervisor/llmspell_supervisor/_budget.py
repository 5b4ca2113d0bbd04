"""What one run may still spend. Reserved before each call, settled after it, never overdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._policy import Policy
    from ._report import Usage
    from ._verdict import Verdict


class BudgetSpent(Exception):
    """A budget that ends the run is used up. `verdict` says which."""

    def __init__(self, verdict: Verdict, message: str, hint: str) -> None:
        super().__init__(message)
        self.verdict: Verdict = verdict
        self.message = message
        self.hint = hint
