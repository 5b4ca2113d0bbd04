"""What an agent has used and done in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from .._types import TokenUsage
from ._types import AgentAnswer, ToolUse

if TYPE_CHECKING:
    from .._types import CompletionResponse

MAX_OUTPUT: Final = 2000
"""Characters of a tool's output that the answer repeats: enough to see what it was."""


class Tally:
    """Summed over the turns."""

    def __init__(self) -> None:
        self.turns: int = 0
        self._last: CompletionResponse | None = None
        self._prompt = 0
        self._written = 0
        self._cost: float | None = 0.0
        self._begun = 0
        self._uses: dict[int, ToolUse] = {}

    def add(self, answer: CompletionResponse) -> None:
        """One more answer of the model."""
        self.turns += 1
        self._last = answer
        self._count(answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.cost)

    def include(self, other: Tally) -> None:
        """What another agent has used on behalf of this one."""
        self._count(other._prompt, other._written, other._cost)

    def begin(self) -> int:
        """A tool is about to be used; the number of that use."""
        self._begun += 1
        return self._begun

    def used(self, number: int, name: str, arguments: Any, output: str, *, ok: bool) -> None:
        """A tool has been used. Some are at the same time: their numbers keep the order."""
        use = ToolUse(name=name, arguments=arguments, output=output[:MAX_OUTPUT], ok=ok)
        self._uses[number] = use

    def answer(self, agent: str, data: Any = UNSET) -> AgentAnswer:
        """The last answer of the model, as that of the agent."""
        last = self._last
        assert last is not None
        return AgentAnswer(
            content=last.content,
            data=data,
            agent=agent,
            usage=TokenUsage(
                prompt_tokens=self._prompt,
                completion_tokens=self._written,
                total_tokens=self._prompt + self._written,
            ),
            cost=self._cost,
            model=last.model,
            provider=last.provider,
            finish_reason=last.finish_reason,
            turns=self.turns,
            tool_calls=[self._uses[number] for number in sorted(self._uses)],
        )

    def _count(self, prompt: int, written: int, cost: float | None) -> None:
        self._prompt += prompt
        self._written += written
        self._cost = None if cost is None or self._cost is None else self._cost + cost
