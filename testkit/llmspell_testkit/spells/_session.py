"""One run of the command `test`: every file, every test, at most so many at once."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from llmspell_bridges import BridgeConfig
from llmspell_supervisor import Config, Layer, Policy, SupervisorError, resolve
from llmspell_supervisor._manifest import find_manifest
from llmspell_supervisor._policy import FIELDS

from ..model_server import ModelServer
from ._bridge import TestBridge
from ._coverage import Coverage, CoverageBridge
from ._data import DataFile, DataTest
from ._find import Reach
from ._names import PROVIDER
from ._overlay import StagedSupervisor
from ._runner import Runner
from ._snapshots import Snapshots
from ._trial import Bench, shown_path
from ._types import Failure, Outcome, Test

T = TypeVar("T", Test, DataTest)

AT_ONCE: Final = min(2 * len(os.sched_getaffinity(0)), 32)
"""Tests that run at once: each waits for its worker or for the model half of its time. Far fewer than
a supervisor lets run, so that there is always room for a spell that one of them waits for."""

KEEPERS: Final = ("memory", "rag", "vector", "workflow")
"""Bridges that keep something after a run."""


class Options(Struct, frozen=True, kw_only=True):
    """What a person wants of the command."""

    paths: tuple[str, ...]
    """As they were given: spells are looked for below those that are folders."""
    config: Config
    policy: Policy
    """What the operator gives to spells under test."""
    wanted: str = ""
    """Part of the names of the tests that are run."""
    update: bool = False
    coverage: bool = False
    """Whether to say which lines of spells were run."""


class Totals(Struct, kw_only=True):
    """What came of all."""

    outcomes: list[Outcome]
    seconds: float
    stale: list[tuple[str, str]] = []
    """File and name of each snapshot that no test asked for."""
    written: list[str] = []
    """Files of snapshots that were written."""
    covered: list[str] = []
    """A line for each spell, where it was asked for."""
    unwanted: int = 0
    """Tests that `-k` left out."""

    def count(self, status: str) -> int:
        """How many ended so."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.count("failed") and not self.count("error")


async def run_tests(
    files: Sequence[str], options: Options, tell: Callable[[Outcome], None]
) -> Totals:
    """Run the tests in `files`; `tell` hears of each as it ends. Raises `SupervisorError`."""
    began = time.monotonic()
    totals = Totals(outcomes=[], seconds=0.0)
    async with _bench(options) as bench:
        work = _Work(bench, options, totals)
        work.tell = tell
        try:
            async with asyncio.TaskGroup() as group:
                for path in files:
                    group.create_task(work.file(path))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # the others are of the same machine
        if bench.coverage is not None:
            totals.covered = list(bench.coverage.rows())
    totals.seconds = time.monotonic() - began
    return totals


class _Work:
    """The files of one run, each with its tests, on one bench."""

    def __init__(self, bench: Bench, options: Options, totals: Totals) -> None:
        self._bench = bench
        self._options = options
        self._totals = totals
        self._runner = Runner(bench, options.policy)
        self._places = asyncio.Semaphore(AT_ONCE)
        self.tell: Callable[[Outcome], None] = lambda _: None

    async def file(self, path: str) -> None:
        """Run the tests of one file."""
        await (self._data(path) if path.endswith(".toml") else self._scripts(path))

    def _heard(self, outcome: Outcome) -> None:
        self._totals.outcomes.append(outcome)
        self.tell(outcome)

    def _unreadable(self, path: str, error: SupervisorError) -> None:
        shown = shown_path(path)
        failure = Failure(message=error.message, hint=error.hint, file=shown)
        self._heard(Outcome(file=shown, name="", status="error", failure=failure))

    async def _data(self, path: str) -> None:
        try:
            file = DataFile(self._bench, path)
        except SupervisorError as error:
            self._unreadable(path, error)
            return
        wanted = self._wanted(file.tests())
        await asyncio.gather(*(self._one(file.perform(test)) for test in wanted))

    async def _scripts(self, path: str) -> None:
        async with self._places:
            file, tests = await self._runner.collect(path)
        if file is None or isinstance(tests, Outcome):
            assert isinstance(tests, Outcome)
            self._heard(tests)
            return
        wanted = self._wanted(tests)
        update = self._options.update
        try:
            snapshots = Snapshots(path, update=update)
        except SupervisorError as error:
            self._unreadable(path, error)
            return
        works = (self._one(self._runner.perform(file, test, snapshots)) for test in wanted)
        outcomes = await asyncio.gather(*works)
        # What a skipped or failed test would have asked for is not known.
        whole = len(wanted) == len(tests) and all(o.status == "passed" for o in outcomes)
        if whole and not update:
            self._totals.stale += [(file.shown, name) for name in snapshots.stale()]
        if snapshots.save(whole=whole):
            self._totals.written.append(shown_path(snapshots.path))

    def _wanted(self, tests: list[T]) -> list[T]:
        part = self._options.wanted.lower()
        wanted = [test for test in tests if part in test.name.lower()]
        self._totals.unwanted += len(tests) - len(wanted)
        return wanted

    async def _one(self, work: Awaitable[Outcome]) -> Outcome:
        async with self._places:
            outcome = await work
        self._heard(outcome)
        return outcome


@asynccontextmanager
async def _bench(options: Options) -> AsyncIterator[Bench]:
    """A supervisor whose models are a scripted server."""
    reach = Reach(options.paths)
    with ModelServer() as server, tempfile.TemporaryDirectory() as state:
        config = replace(options.config, bridges=_settings(options.config, server, state))
        async with StagedSupervisor(config) as supervisor:
            supervisor.bridges.add(TestBridge(BridgeConfig()))
            supervisor.bridges.add(CoverageBridge(BridgeConfig()))

            def policy(path: str, fakes: frozenset[str]) -> Policy:
                return spell_policy(options.policy, path, fakes)

            coverage = Coverage() if options.coverage else None
            yield Bench(
                supervisor,
                server,
                reach.locate,
                policy,
                isolation=options.policy.isolation,
                coverage=coverage,
            )


def _settings(config: Config, server: ModelServer, state: str) -> dict[str, Mapping[str, Any]]:
    """The operator's settings, but that models are scripted and nothing is kept for good."""
    ours = {"directory": state, "scope": "spell"}
    kept = {name: {**config.bridges.get(name, {}), **ours} for name in KEEPERS}
    llm = {
        "providers": {PROVIDER: {"base_url": server.base_url, "max_retries": 0}},
        "default_model": f"{PROVIDER}/default",
        "embed_model": f"{PROVIDER}/embed",
    }
    return {**config.bridges, **kept, "llm": llm}


def spell_policy(given: Policy, path: str, fakes: frozenset[str]) -> Policy:
    """What a spell may: what the operator gives and its manifest wants, and what the test answers.

    Raises `PolicyError`, or `ConfigError` for the manifest.
    """
    bridges = tuple(dict.fromkeys((*given.allow_bridges, *sorted(fakes))))
    values = {name: getattr(given, name) for name in FIELDS}
    layers = [Layer("the command", {**values, "allow_bridges": bridges})]
    manifest = find_manifest(path) if path else None
    if manifest is not None:
        # Its environment is what the test says.
        asked = {k: v for k, v in manifest.layer.values.items() if k != "allow_env"}
        layers.append(Layer(manifest.layer.name, asked, "manifest"))
    return resolve(layers).policy
