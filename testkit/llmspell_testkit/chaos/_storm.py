"""A supervisor under fire: runs spells while bridges, workers, disks and clocks fail by a plan."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmspell_bridges import Bridge
from llmspell_supervisor import (
    CallRecord,
    Config,
    Policy,
    RunReport,
    Spell,
    Supervisor,
    SupervisorError,
)
from llmspell_supervisor._audit import AuditLog, verify
from llmspell_supervisor._run import Run

from ._methods import StruckMethod
from ._plan import Fault, Plan
from ._report import ChaosReport, Performed

DAY: Final = 86_400
AT_ONCE: Final = 8
"""Runs that are open together."""
UNDECIDED: Final = ("cancelled", "abandoned", "supervisor_error")
"""What a record says of a call that the end of its run overtook."""


class Weather:
    """What strikes, and what it has struck."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.faults: Counter[Fault] = Counter()
        self.performed: list[Performed] = []
        self.opened: Counter[str] = Counter()
        """Calls by run."""
        self.records: list[CallRecord] = []
        self.unwritten = 0
        self._supervisor: StormySupervisor | None = None
        self._offset = 0.0
        self._writes = 0

    def over(self, supervisor: StormySupervisor) -> None:
        """Say whose workers can be killed."""
        self._supervisor = supervisor

    def open(self, run: str) -> int:
        """A call of a run begins; returns which one of its calls it is."""
        self.opened[run] += 1
        return self.opened[run]

    def strikes(self, fault: Fault, run: str, call: int) -> bool:
        """Whether a fault strikes now; counted."""
        struck = self.plan.strikes(fault, run, call)
        self.faults[fault] += struck
        return struck

    def jump(self, amount: float) -> None:
        """Set the wall clock a day ahead or back."""
        self._offset += DAY if amount < 0.5 else -DAY

    @contextlib.contextmanager
    def clock(self) -> Iterator[None]:
        """The wall clock of this process, with its jumps; as it was, after the block."""
        real = time.time
        time.time = lambda: real() + self._offset
        try:
            yield
        finally:
            time.time = real

    def kill_worker(self, run: str) -> None:
        """Kill it from outside, as the kernel would for want of memory."""
        worker = self._run(run)._worker
        if worker is not None and worker._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(worker._pidfd, signal.SIGKILL)

    def kill_zygote(self, run: str) -> None:
        """Kill the zygote of a run, and all of its workers with it."""
        assert self._supervisor is not None
        self._supervisor.kill_zygote(self._run(run)._spell.engine)

    def _run(self, number: str) -> Run:
        assert self._supervisor is not None
        return next(run for run in self._supervisor._runs if str(run._number) == number)

    @contextlib.contextmanager
    def disk(self, size: int, length: int) -> Iterator[None]:
        """The disk for a write of `length` bytes to a file of `size`: full in the middle, if struck."""
        self._writes += 1
        if not self.strikes("full_disks", "audit", self._writes):
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The kernel writes up to the limit, and the rest is refused (setrlimit(2)).
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + length // 2, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class StormyLog(AuditLog):
    """An audit log on a disk that is full at times."""

    weather: Weather

    def _write(self, line: bytes) -> None:
        with self.weather.disk(self._size, len(line)):
            super()._write(line)


class StormySupervisor(Supervisor):
    """A supervisor whose bridges, zygotes and log are struck; nothing else of it is changed."""

    def __init__(self, weather: Weather, config: Config | None, audit: str | None) -> None:
        super().__init__(config, audit=audit, on_call=weather.records.append)
        self._weather = weather
        weather.over(self)

    def _open_audit(self) -> AuditLog | None:
        log = super()._open_audit()
        if log is not None:
            log.__class__ = StormyLog  # opened by the supervisor's own rules, and the same since
            assert isinstance(log, StormyLog)
            log.weather = self._weather
        return log

    def expose(self) -> None:
        """Let every method of every bridge be struck."""
        methods: dict[str, Any] = self.bridges._methods
        for name, method in methods.items():
            methods[name] = StruckMethod(method, self._weather)

    def kill_zygote(self, engine: str) -> None:
        """Kill the zygote of an engine."""
        for (name, _), zygote in self._zygotes.items():
            if name == engine:
                zygote._kill()


class Chaos:
    """Runs spells under a plan, and tells what was lost."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def run(
        self,
        spells: Sequence[Spell],
        *,
        bridges: Sequence[Bridge] = (),
        policy: Policy | None = None,
        params: Mapping[str, Any] | None = None,
        config: Config | None = None,
        audit: str | None = None,
    ) -> ChaosReport:
        """Run each spell once, `AT_ONCE` of them together. `audit` is the path of a new log."""
        weather = Weather(self.plan)

        async def main() -> list[RunReport | BaseException]:
            turns = asyncio.Semaphore(AT_ONCE)
            async with StormySupervisor(weather, config, audit) as supervisor:
                for bridge in bridges:
                    supervisor.bridges.add(bridge)
                supervisor.expose()

                async def one(spell: Spell) -> RunReport:
                    async with turns:
                        return await supervisor.run(spell, params=params, policy=policy)

                return await asyncio.gather(*map(one, spells), return_exceptions=True)

        with weather.clock():
            found = asyncio.run(main())
        return _report(weather, found, audit)


def _report(
    weather: Weather, found: Sequence[RunReport | BaseException], audit: str | None
) -> ChaosReport:
    reports = tuple(each for each in found if isinstance(each, RunReport))
    failures = [each for each in found if isinstance(each, BaseException)]
    audited = _audited(audit) if audit else None
    report = ChaosReport(
        begun=len(found),
        reports=reports,
        errors=tuple(f"{type(each).__name__}: {each}" for each in failures),
        faults={fault: count for fault, count in weather.faults.items() if count},
        opened=weather.opened.total(),
        performed=tuple(weather.performed),
        records=tuple(weather.records),
        audited=audited,
        unwritten=weather.faults["full_disks"],
    )
    return ChaosReport(
        **{f: getattr(report, f) for f in report.__struct_fields__ if f != "lost"},
        lost=tuple(_losses(report, failures, audit)),
    )


def _audited(path: str) -> int:
    """How many calls the log holds."""
    with open(path, encoding="utf-8") as lines:
        return sum(json.loads(line)["type"] == "call" for line in lines)


def _losses(
    report: ChaosReport, failures: Sequence[BaseException], audit: str | None
) -> Iterator[str]:
    """What one source knows, and another should."""
    for failure in failures:
        if not isinstance(failure, SupervisorError):
            yield f"a run was lost: {type(failure).__name__}: {failure}"
    counted = sum(sum(each.usage.calls.values()) for each in report.reports)
    if counted + report.unwritten < len(report.records):
        yield f"{len(report.records)} calls were recorded, and {counted} counted"
    told = [record for record in report.records if record.outcome == "ok"]
    if len(told) > len(report.performed):
        yield f"{len(told)} calls were answered, and {len(report.performed)} performed"
    if len(report.records) + report.unwritten < report.opened:
        yield f"{report.opened} calls were begun, and {len(report.records)} recorded"
    for each in report.reports:
        if each.verdict != "ok" and each.problem is None:
            yield f"a run ended as {each.verdict}, and nobody says why"
    if audit is not None:
        verify(audit)  # raises what is wrong with it
        if (report.audited or 0) + report.unwritten < len(report.records):
            yield f"{len(report.records)} calls were recorded, and {report.audited} are in the log"
