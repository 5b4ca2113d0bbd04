"""Runs that are ended at random moments of their host calls have no effect after their report."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method
from tests.security.late_effects import ACTS, World, late_effects

pytestmark = [
    pytest.mark.xdist_group("litellm"),  # imported once
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
    # litellm makes a coroutine that it awaits later: one that is cancelled between is told of.
    pytest.mark.filterwarnings("ignore:coroutine 'OpenAIChatCompletion.acompletion'"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <coroutine object OpenAIChat"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What such warnings are about goes here, and not in another test."""
    yield
    gc.collect()


class Late(Bridge):
    """Breaks the rule: what it is asked to write is written some time after it has answered."""

    name: ClassVar[str] = "late"
    effect: ClassVar[Any]

    def __init__(self, world: World) -> None:
        super().__init__(BridgeConfig())
        self._world = world

    @method
    async def act(self, ctx: CallContext, tag: str) -> None:
        """Leave a thread behind."""

        def write() -> None:
            with open(f"{self._world.folder}/files/{tag}late", "a") as file:
                file.write("x")

        threading.Timer(0.5, write).start()


@pytest.mark.slow
@pytest.mark.attack("B27")
def test_forty_runs_ended_in_the_middle_of_calls_have_no_effect_after_their_report() -> None:
    result = asyncio.run(late_effects(40, seed=7, settle=1.0))
    assert result.late == []
    assert result.ended.total() == 40
    assert {how.split(" (")[0] for how in result.ended} == {
        "cancelled", "killed", "out of time", "returned"
    }  # fmt: skip
    assert all(result.effects[act] for act in ACTS), result.effects


@pytest.mark.slow
def test_a_bridge_that_works_on_after_the_report_is_found_out() -> None:
    result = asyncio.run(late_effects(4, seed=7, also=Late, settle=1.5))
    assert result.late
    assert not result.ok
