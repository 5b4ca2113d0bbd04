"""A run that reads, and has no other effect: what it lists instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmspell_bridges import Planned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmspell_bridges import BoundMethod, CallContext, Effect
    from llmspell_protocol import Call

MAX_PLANNED: Final = 1000
"""Effects that the report of a dry run lists; a person reads a few."""
MIN_HIDDEN: Final = 4
"""Characters of a granted variable that no description shows. Shorter ones are words like any."""


class DryRun:
    """The list of one run."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """`env` is what the spell was granted: no description shows a value of it."""
        self.planned: list[Planned] = []
        """What would have been done, in order, up to `MAX_PLANNED`."""
        self.unlisted = 0
        """How many more effects there were."""
        self.hidden = tuple(value for value in env.values() if len(value) >= MIN_HIDDEN)
        """What no description shows."""

    def answer(self, ctx: CallContext, method: BoundMethod, call: Call) -> bytes | None:
        """List a call and say what its script is answered; None for one that is to be made."""
        if method.is_called_dry:
            return None
        planned, answer = method.plan(ctx, call.args, self.hidden)
        self._add(planned)
        return answer

    def add(self, method: str, planned: Iterable[tuple[Effect, str]]) -> None:
        """List what a method that was called says it did not do."""
        for effect, text in planned:
            self._add(Planned(method=method, effect=effect, description=text))

    def _add(self, planned: Planned) -> None:
        if len(self.planned) < MAX_PLANNED:
            self.planned.append(planned)
        else:
            self.unlisted += 1
