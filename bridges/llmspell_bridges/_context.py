"""What a bridge method is told about the run that calls it."""

from __future__ import annotations

import time
from typing import Any, Protocol

from msgspec import Struct, field

from ._effects import Effect


class PolicyView(Protocol):
    """The part of a run's policy that bridges enforce. Sizes are bytes, times seconds."""

    @property
    def request_timeout(self) -> float:
        """Time of one call; of one wait for the next chunk, when the call is a stream."""

    @property
    def max_response(self) -> int:
        """Bytes of one answer, or of one stream in all."""

    @property
    def allow_domain(self) -> tuple[str, ...]:
        """Hosts that a bridge may reach for the spell."""

    @property
    def allow_read(self) -> tuple[str, ...]:
        """Directories that the spell may read."""

    @property
    def allow_write(self) -> tuple[str, ...]:
        """Directories that the spell may write."""

    @property
    def allow_models(self) -> tuple[str, ...]:
        """Patterns of models that the spell may use; an empty tuple allows none."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Directories whose spells the spell may require; the first that has one gives it."""

    @property
    def require_tls(self) -> bool:
        """Whether plain HTTP is refused to anything but this machine."""


class Reservation(Protocol):
    """A share of the budget that one call holds until it is settled. Settle exactly once."""

    def settle(
        self, *, prompt_tokens: int = 0, completion_tokens: int = 0, cost: float = 0.0
    ) -> None:
        """Give back what was reserved and book what was used: nothing, without arguments.

        Raises `BudgetExceeded` if more was used than the run had left.
        """


class Budget(Protocol):
    """What the run may still spend. The supervisor implements it; calls are atomic (no await)."""

    @property
    def tokens_left(self) -> int:
        """Tokens that are neither used nor reserved."""

    @property
    def cost_left(self) -> float:
        """US dollars that are neither used nor reserved."""

    def reserve(self, *, tokens: int = 0, cost: float = 0.0) -> Reservation:
        """Set an upper bound aside before a call is made. Raises `BudgetExceeded`."""


class CallContext(Struct, frozen=True, kw_only=True):
    """One call's view of its run. Every bridge method gets it as its first parameter."""

    run_id: str
    spell: str
    """How errors and logs name the spell."""
    deadline: float
    """When the run's wall time is over, on `time.monotonic()`."""
    policy: PolicyView
    budget: Budget
    engine: str = ""
    """Which engine runs the spell."""
    model: str | None = None
    """The operator's `--model`: stands above whatever the spell names."""
    detail: dict[str, Any] = field(default_factory=dict)
    """What `note` has gathered of this call."""

    dry_run: bool = False
    """Nothing may be written, sent or spent: a method that would `plan`s it, and answers as if."""
    planned: list[tuple[Effect, str]] = field(default_factory=list)
    """What `plan` has listed of this call."""

    def plan(self, effect: Effect, description: str) -> None:
        """List what this call does not do because the run is dry; for methods that `vary`.

        `description` is one short line without secrets, such as `POST https://api.example.com`.
        """
        self.planned.append((effect, description))

    def note(self, **facts: str | float | bool | None) -> None:
        """Add facts about this call to its record in the audit log, such as `domain="a.example"`.

        Names and texts are kept in the log for good: never a secret, and of an address only the
        host. `model`, `domain`, `read`, `write` (a path) and `library` (a folder), as a policy would
        grant them, are what a run is said to have needed.
        """
        self.detail.update(facts)

    def time_left(self) -> float:
        """Seconds that the run still has; negative when it is over."""
        return self.deadline - time.monotonic()

    def call_timeout(self) -> float:
        """Seconds that this call may take at most: never past the run's own deadline."""
        return max(0.0, min(self.policy.request_timeout, self.time_left()))
