"""What bridges keep for one run."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_bridges import RunState


class Held:
    """Something that a run holds open."""

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = 0
        self._error = error

    async def close(self) -> None:
        """Count, and perhaps fail."""
        self.closed += 1
        if self._error is not None:
            raise self._error


def test_a_value_is_made_once_for_each_key() -> None:
    state = RunState()
    first = state.value("a", Held)
    assert state.value("a", Held) is first
    assert state.value("b", Held) is not first


def test_everything_is_closed_once_also_when_something_fails_to() -> None:
    state = RunState()
    bad = state.value("bad", lambda: Held(ValueError("no")))
    good = state.value("good", Held)
    state.value("plain", lambda: 1)
    with pytest.raises(ExceptionGroup, match="did not close"):
        asyncio.run(state.close())
    asyncio.run(state.close())
    assert (bad.closed, good.closed) == (1, 1)
