"""One test while it runs: the spells that it starts, and what it says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from llmspell_bridges import BoundMethod, Bridge, BridgeConfig, BridgeError, BridgeRegistry
from llmspell_supervisor import Policy, RunReport, Spell, SupervisorError

from ..recording._record import Fixed, run_fixed
from ..recording._trace import Trace, Traced, describe
from ._answers import scripted
from ._bridge import TestBridge
from ._coverage import NAME as COVERAGE
from ._fakes import Fake
from ._free import OURS, KitBudget
from ._names import MODEL, PROVIDER, Named, queue_name
from ._overlay import Overlay, Stage, staged

if TYPE_CHECKING:
    from ..model_server import ModelServer
    from ._bridge import Declared, Failed, Found, RunRequest
    from ._coverage import Coverage
    from ._overlay import StagedSupervisor
    from ._snapshots import Snapshots


class Bench:
    """What all tests of a command share."""

    def __init__(
        self,
        supervisor: StagedSupervisor,
        server: ModelServer,
        locate: Callable[[str, str], str],
        policy: Callable[[str, frozenset[str]], Policy],
        *,
        isolation: Literal["strict", "degraded"] = "strict",
        coverage: Coverage | None = None,
    ) -> None:
        """`locate` finds a spell that a file names; `policy` is that of a spell and its fakes."""
        self.supervisor = supervisor
        self.server = server
        self.locate = locate
        self.policy = policy
        self.isolation = isolation
        self.coverage = coverage
        self._count = 0

    def queue(self) -> str:
        """A name for the model of one test, under which the server keeps its answers."""
        self._count += 1
        return queue_name(self._count)


class Trial:
    """One test, or one file whose tests are collected."""

    def __init__(self, bench: Bench, path: str, snapshots: Snapshots | None = None) -> None:
        self.declared: list[Declared] = []
        self.failed: Failed | None = None
        self.logs: list[str] = []
        """What it and its spells have written, as it came, and how those ended that did not end well."""
        self._bench = bench
        self._path = path
        self._queue = bench.queue()
        self._snapshots = snapshots

    @property
    def stage(self) -> Stage:
        """Where the test itself runs."""
        return Stage(registry=self._own, env={}, on_log=lambda entry: self.logs.append(entry.text))

    def _own(self, below: BridgeRegistry) -> BridgeRegistry:
        return Overlay(below, [TestBridge(BridgeConfig(), self)])

    async def run(self, request: RunRequest) -> dict[str, Any]:
        """Run a spell. Raises `BridgeError` for what the test has to mend."""
        if request.spell is None:
            message = "run_spell: no spell is named: say spell(path) at the head of the file"
            raise BridgeError("Validation", message, field="spell")
        report, trace = await self.cast(self._spell(request.spell), request)
        return report_map(report, trace)

    def _spell(self, name: str) -> Spell:
        try:
            return Spell.from_path(self._bench.locate(self._path, name))
        except SupervisorError as error:
            raise BridgeError("Validation", str(error), field="spell") from None

    async def cast(self, spell: Spell, request: RunRequest) -> tuple[RunReport, Trace]:
        """Run a spell: its report, and the calls that it made. Raises `BridgeError`."""
        bench, trace = self._bench, Trace()
        try:
            bench.server.script(self._queue, *(scripted(answer) for answer in request.answers))
        except ValueError as error:
            raise BridgeError("Validation", f"model.script: {error}", field="answers") from None
        fakes = request.fakes
        made: dict[str, BoundMethod] = {}

        def stand_in(method: BoundMethod) -> BoundMethod:
            if method.name not in made:
                found = (
                    Fake(method, fakes[method.name])
                    if method.name in fakes
                    else Named(method, self._queue)
                )
                made[method.name] = trace.watch(found)
            return made[method.name]

        marked = bench.coverage and bench.coverage.marked(spell, shown_path(spell.path or ""))
        extra: list[Bridge] = []
        if marked:
            spell, heard = marked
            extra.append(heard)
        stage = Stage(
            registry=lambda below: Overlay(below, extra, stand_in),
            budget=KitBudget,
            identity=f"{self._queue}:{spell.path}",
            env=request.env,
            model=f"{PROVIDER}/{self._queue}",
            on_call=trace.arrived,
            on_log=lambda entry: self.logs.append(f"{spell.name}: {entry.text}"),
        )
        try:
            policy = bench.policy(spell.path or "", frozenset(fakes))
            if marked:
                bridges = (*policy.allow_bridges, COVERAGE)
                policy = msgspec.structs.replace(policy, allow_bridges=bridges)
            if request.timeout is not None:
                policy = msgspec.structs.replace(
                    policy, timeout=min(policy.timeout, request.timeout)
                )
            report = await self._run(spell, stage, request, policy)
        except (SupervisorError, ValueError) as error:
            raise BridgeError("Configuration", f"run_spell: {error}") from None
        if report.problem is not None:
            place = ":".join(str(p) for p in (spell.name, report.problem.line) if p is not None)
            self.logs.append(f"{place}: {report.verdict}: {report.problem.message}")
        return report, trace

    async def _run(
        self, spell: Spell, stage: Stage, request: RunRequest, policy: Policy
    ) -> RunReport:
        supervisor, params = self._bench.supervisor, request.params
        if not request.fixed:
            return await supervisor.run(staged(spell, stage), params=params, policy=policy)
        seed = (request.seed or 0) & (1 << 64) - 1
        clock = time.time() if request.clock is None else request.clock
        fixed = Fixed((seed >> 32, seed & 0xFFFFFFFF, 1, 2), int(clock * 1000), request.speed)
        return await run_fixed(supervisor, spell, fixed, stage, params=params, policy=policy)

    def requests(self) -> list[Any]:
        """What its models have been sent, oldest first."""
        received = list(self._bench.server.requests)
        mine = (r.body for r in received if r.body.get("model") == self._queue)
        return [{**body, "model": MODEL} for body in mine]

    def snapshot(self, key: str, value: Any) -> Found:
        """Compare `value` with what is kept under `key`."""
        assert self._snapshots is not None
        return self._snapshots.compare(key, value)


def report_map(report: RunReport, trace: Trace) -> dict[str, Any]:
    """A report as tests read it."""
    problem = report.problem
    return {
        "ok": report.ok,
        "verdict": report.verdict,
        "value": report.value,
        "output": output_of(report),
        "logs": [{"level": entry.level, "text": entry.text} for entry in report.logs],
        "problem": None
        if problem is None
        else {
            "message": problem.message,
            "hint": problem.hint,
            "kind": problem.error.kind if problem.error else None,
            "line": problem.line,
            "column": problem.column,
        },
        "calls": describe(made_calls(trace)),
        "usage": {
            "wall": report.usage.wall,
            "cpu": report.usage.cpu,
            "prompt_tokens": report.usage.prompt_tokens,
            "completion_tokens": report.usage.completion_tokens,
        },
    }


def made_calls(trace: Trace) -> list[Traced]:
    """The calls that the spell itself made."""
    return [call for call in trace.calls if call.method not in OURS]


def output_of(report: RunReport) -> str:
    """What the console would have written to standard output: `log`, `info` and `write`."""
    pieces = []
    for entry in report.logs:
        if entry.level == "write":
            pieces.append(entry.text)
        elif entry.level in ("log", "info"):
            pieces.append(entry.text + "\n")
    return "".join(pieces)


def shown_path(path: str) -> str:
    """A path as people write it: relative to where they are, where that is shorter."""
    relative = os.path.relpath(path)
    return path if relative.startswith("../..") else relative
