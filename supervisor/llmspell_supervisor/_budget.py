"""What one run may still spend: reserved before each call, settled after it, never overdrawn.

Everything happens on the event loop and nothing in here awaits, so a check and its reservation are
one step: calls that run at the same time cannot pass it together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmspell_bridges import BudgetExceeded

if TYPE_CHECKING:
    from ._policy import Policy
    from ._report import Usage

ENTRY_COST: Final = 16
"""Bytes that a console entry counts at least, so that empty lines are not free to keep."""

ENTRY_BURST: Final = 10_000
"""Console entries that a run may make as fast as it can: what a person might still look through.
They take 2 MB, where as many as `max_output` allows would take 10 to 15."""
ENTRY_RATE: Final = 1000
"""Console entries a second from then on: a stream of tokens has a hundred. The rest is counted, in
`max_output` too, and not kept."""
UNKNOWN: Final = "unknown"
"""What calls of methods that there are not are counted as: names of a spell's own making, one for
each call, would otherwise fill the report, and every store of metrics that it is put into."""


class EntryRate:
    """Lets console entries through at a bounded rate, and counts those that it does not."""

    def __init__(self) -> None:
        self._free = float(ENTRY_BURST)
        self._at = 0.0
        self._suppressed = 0

    def admits(self, at: float) -> bool:
        """Whether an entry may pass at that time, in seconds; one that may not is counted."""
        self._free = min(ENTRY_BURST, self._free + (at - self._at) * ENTRY_RATE)
        self._at = at
        if self._free < 1:
            self._suppressed += 1
            return False
        self._free -= 1
        return True

    def suppressed(self) -> int:
        """How many did not pass since this was last asked."""
        count, self._suppressed = self._suppressed, 0
        return count


class RunBudget:
    """The budget of one run. Implements `llmspell_bridges.Budget`; counts into a `Usage`."""

    def __init__(self, policy: Policy, usage: Usage) -> None:
        self._policy = policy
        self._usage = usage
        self._reserved_tokens = 0
        self._reserved_cost = 0.0
        self._calls = 0

    @property
    def tokens_left(self) -> int:
        """Tokens that are neither used nor reserved."""
        used = self._usage.prompt_tokens + self._usage.completion_tokens
        return self._policy.max_tokens - used - self._reserved_tokens

    @property
    def cost_left(self) -> float:
        """US dollars that are neither used nor reserved."""
        return self._policy.max_cost - self._usage.cost - self._reserved_cost

    def reserve(
        self, *, tokens: int = 0, cost: float = 0.0, call: CallBudget | None = None
    ) -> RunReservation:
        """Set an upper bound aside before `call` is made. Raises `BudgetExceeded`."""
        if tokens > self.tokens_left:
            raise BudgetExceeded("tokens", asked=tokens, left=self.tokens_left)
        if cost > self.cost_left:
            raise BudgetExceeded("cost", asked=cost, left=self.cost_left)
        self._reserved_tokens += tokens
        self._reserved_cost += cost
        self._mark_most()
        return RunReservation(self, tokens, cost, call)

    def settle(
        self, tokens: int, cost: float, prompt_tokens: int, completion_tokens: int, spent: float
    ) -> None:
        """Exchange a reservation for what was really used. Raises `BudgetExceeded`."""
        self._reserved_tokens -= tokens
        self._reserved_cost -= cost
        self._usage.prompt_tokens += prompt_tokens
        self._usage.completion_tokens += completion_tokens
        self._usage.cost += spent
        self._mark_most()
        if self.tokens_left < 0:
            raise BudgetExceeded("tokens", asked=prompt_tokens + completion_tokens, left=0)
        if self.cost_left < 0:
            raise BudgetExceeded("cost", asked=spent, left=0)

    def _mark_most(self) -> None:
        usage, policy = self._usage, self._policy
        usage.most_tokens = max(usage.most_tokens, policy.max_tokens - self.tokens_left)
        usage.most_cost = max(usage.most_cost, policy.max_cost - self.cost_left)

    def count_call(self, method: str) -> bool:
        """Count a call. False when it is one more than the policy gives."""
        if self._calls >= self._policy.max_calls:
            return False
        self._calls += 1
        self._usage.calls[method] = self._usage.calls.get(method, 0) + 1
        return True

    def count_output(self, size: int) -> bool:
        """Count `size` bytes of console text or value. False when they are over the limit."""
        if self._usage.output + size > self._policy.max_output:
            return False
        self._usage.output += size
        return True


class CallBudget:
    """The budget of a run as one of its calls sees it: adds up what the call used.

    What it used counts for `outer` as well, the call within which it was made.
    """

    def __init__(self, budget: RunBudget, outer: CallBudget | None = None) -> None:
        self._budget = budget
        self._outer = outer
        self.tokens = 0
        self.cost = 0.0

    @property
    def tokens_left(self) -> int:
        """Tokens that the run has neither used nor reserved."""
        return self._budget.tokens_left

    @property
    def cost_left(self) -> float:
        """US dollars that the run has neither used nor reserved."""
        return self._budget.cost_left

    def reserve(self, *, tokens: int = 0, cost: float = 0.0) -> RunReservation:
        """As `RunBudget.reserve`."""
        return self._budget.reserve(tokens=tokens, cost=cost, call=self)

    def add(self, tokens: int, cost: float) -> None:
        """Take note of what was used."""
        self.tokens += tokens
        self.cost += cost
        if self._outer is not None:
            self._outer.add(tokens, cost)

    def inner(self) -> CallBudget:
        """That of a call made within this one."""
        return CallBudget(self._budget, self)


class RunReservation:
    """A share of the budget that one call holds. Settle it exactly once."""

    def __init__(
        self, budget: RunBudget, tokens: int, cost: float, call: CallBudget | None
    ) -> None:
        self._budget = budget
        self._call = call
        self._tokens = tokens
        self._cost = cost
        self._settled = False

    def settle(
        self, *, prompt_tokens: int = 0, completion_tokens: int = 0, cost: float = 0.0
    ) -> None:
        """Book what was used and give back the rest. Raises `BudgetExceeded` when over."""
        if self._settled:
            raise RuntimeError("a reservation is settled once")
        self._settled = True
        if self._call is not None:
            self._call.add(prompt_tokens + completion_tokens, cost)
        self._budget.settle(self._tokens, self._cost, prompt_tokens, completion_tokens, cost)
