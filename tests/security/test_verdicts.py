"""The verdict is true: hundreds of hostile runs whose end is known, and what the supervisor says."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, get_args

import pytest

from llmspell_harness._attack import BOTH
from llmspell_harness._canaries import Canaries
from llmspell_harness._stage import Stage
from llmspell_supervisor import Verdict
from tests.security.labelled import Bait, Run, attacks, doomed, spells

VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
LEAST: Final = 300
EACH: Final = 4
"""Runs of each verdict in each language, at least."""
AT_ONCE: Final = 6
"""Runs in flight: most wait for a clock, and some compute until one stops them."""


async def _verdicts(runs: list[Run]) -> list[Verdict]:
    """What the supervisor says of each, several at a time."""
    turns = asyncio.Semaphore(AT_ONCE)
    async with Canaries() as canaries, Stage(canaries) as stage:
        stage.supervisor.bridges.add(Bait())

        async def once(run: Run) -> Verdict:
            async with turns:
                params = canaries.targets
                report = await stage.run(
                    run.source, run.engine, params=params, policy=run.policy, name=run.name
                )
                return report.verdict

        return await asyncio.gather(*map(once, runs))


async def _verdicts_when_cancelled(runs: list[Run]) -> list[Verdict]:
    """What it says when all are ended by somebody, each in the middle of what it does."""
    async with Canaries() as canaries, Stage(canaries) as stage:
        bait = Bait()
        stage.supervisor.bridges.add(bait)
        reports = [
            asyncio.create_task(stage.run(run.source, run.engine, policy=run.policy))
            for run in runs
        ]
        for _ in runs:
            await bait.arrived.acquire()
        stage.supervisor.cancel_all()
        return [(await report).verdict for report in reports]


def _labelled() -> list[Run]:
    return [*spells(), *attacks(), *doomed()]


def test_the_set_has_hundreds_of_runs_and_every_verdict_in_both_languages() -> None:
    counts = Counter((run.label, run.engine) for run in _labelled())
    assert counts.total() >= LEAST
    few = [f"{kind} in {engine}" for kind in VERDICTS for engine in BOTH
           if counts[kind, engine] < EACH]  # fmt: skip
    assert few == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_hostile_run_is_named_as_what_it_is() -> None:
    settled, ended = [*spells(), *attacks()], list(doomed())
    said = asyncio.run(_verdicts(settled)) + asyncio.run(_verdicts_when_cancelled(ended))
    runs = settled + ended
    misnamed = [
        f"{run.name} in {run.engine} is {run.label}, and is called {verdict}"
        for run, verdict in zip(runs, said, strict=True)
        if verdict != run.label
    ]
    assert misnamed == []
