"""A few hundred spells of every kind, with kills from outside: nothing is lost, nothing is left."""

from __future__ import annotations

import asyncio

import pytest

from tests.security.soak import soak

RUNS = 250


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_healthy_spells_among_hostile_ones_lose_nothing_and_leave_nothing() -> None:
    result = asyncio.run(soak(RUNS, seed=7))
    assert result.lost == []
    assert result.leaks == []
    assert result.verdicts.total() == RUNS
    # The mixture was one: healthy spells ended well, and others were stopped.
    assert result.verdicts["ok"] > RUNS * 0.3
    assert len(result.verdicts) >= 5
    assert result.killed
