"""Where attacks take place: a real supervisor, watched, over zygotes that can leave layers out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import msgspec

from llmspell_protocol import Connection, Role
from llmspell_supervisor import (
    IsolationError,
    Policy,
    RunReport,
    Spell,
    Supervisor,
    SupervisorError,
    _launch,
)
from llmspell_supervisor._pool import NO_POOL
from llmspell_supervisor._run import ENVELOPE, Run
from llmspell_supervisor._zygotes import Zygote

from ._attack import Host, Native, Peer, Succeeded
from ._canaries import Canaries, Listener
from ._scripts import Script
from ._trial import Finding, Trial, forget_peak, judge_native, judge_peer, judge_script, resident

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT: Final = 20.0
"""Seconds of wall time for an attack that names no limit: none needs a tenth of it."""
PATIENCE: Final = 2.0
"""Seconds for a worker to say Ready where a peer may never do so: a hundred times what it takes."""
SPARE_MEMORY: Final = 8 << 20
"""Bytes beyond one frame's cap by which a run may make its supervisor grow."""

Attack = Native | Peer | Script

_heard: ContextVar[Listener] = ContextVar("heard")


class _Overheard(Connection):
    """The supervisor's end of a wire, every byte of which is searched for canaries."""

    def __init__(self, role: Role, caps: Any, listener: Listener) -> None:
        super().__init__(role, caps)
        self._listener = listener

    def receive_data(self, data: bytes | bytearray | memoryview[int]) -> None:
        self._listener.hear(bytes(data))
        super().receive_data(data)


class _WatchedRun(Run):
    def _connect(self) -> Connection:
        return _Overheard(Role.HOST, self._caps(), _heard.get())


class _ImpatientRun(_WatchedRun):
    _ready_timeout: ClassVar[float] = PATIENCE


class _Zygote(Zygote):
    """A zygote of the attack suite."""

    def __init__(self, *arguments: Any, skip: frozenset[str], early: str, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._skip = skip
        self._early = early

    def _spawn(self) -> _launch.Launched:
        mode = "strict" if self._strict else "degraded"
        skip = ",".join(sorted(self._skip))
        return _launch.spawn(f"{__package__}.zygote", self.engine, mode, skip, self._early)


class _Supervisor(Supervisor):
    _run_type: type[Run] = _WatchedRun

    def __init__(self, skip: frozenset[str], early: str) -> None:
        # Where walls are missing, what waits beside an attack would be taken for a part of it; and what
        # attacks before it is ready would do so for no run.
        super().__init__(pool=NO_POOL if skip or early else None)
        self._skip = skip
        self._early = early
        if early:
            self._run_type = _ImpatientRun

    def _new_zygote(self, engine: str, *, strict: bool) -> Zygote:
        return _Zygote(
            engine,
            self._cgroups,
            strict=strict,
            pool=self._pool,
            skip=self._skip,
            early=self._early,
        )


class Stage:
    """A supervisor whose workers lack the layers in `skip`, and what watches over it.

    async with Canaries() as canaries, Stage(canaries) as stage:
        trial = await stage.cast(attack, "lua")
    """

    def __init__(
        self,
        canaries: Canaries,
        *,
        skip: frozenset[str] = frozenset(),
        early: str = "",
        isolation: str = "strict",
    ) -> None:
        self.canaries = canaries
        self.skip = skip
        self.engine = ""
        """Which one an attack on the host is about, if any."""
        self.isolation = isolation
        self.supervisor: Supervisor = _Supervisor(skip, early)

    async def __aenter__(self) -> Self:
        await self.supervisor.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.supervisor.__aexit__(kind, error, trace)

    async def arrange(self, attack: Host, engine: str) -> Trial:
        """Let one attack on the host go. Never raises for what the attack did."""
        self.engine = engine
        began = time.monotonic()
        try:
            finding = Finding("stopped", await attack.run(self))
        except Succeeded as gain:
            finding = Finding("succeeded", str(gain))
        except Exception as error:  # noqa: BLE001 - a mistake in the attack must not pass for a wall
            finding = Finding("broken", f"{type(error).__name__}: {error}")
        return Trial(
            id=attack.id,
            key=attack.key,
            title=attack.title,
            engine=engine,
            outcome=finding.outcome,
            by=finding.by,
            skip=tuple(sorted(self.skip)),
            seconds=time.monotonic() - began,
        )

    @contextlib.asynccontextmanager
    async def neighbour(self, engine: str) -> Any:
        """A spell that holds a canary in its memory and does nothing with it, beside the attack."""
        source = "local held = params.token util.sleep(3600000) return #held"
        if engine == "javascript":
            source = "const held = params.token; await util.sleep(3600000); return held.length"
        task = asyncio.create_task(
            self.run(source, engine, params={"token": self.canaries.tokens["neighbour"]})
        )
        try:
            await asyncio.sleep(0)  # it asks for its worker first
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _company(self, attack: Attack, engine: str) -> contextlib.AbstractAsyncContextManager[Any]:
        if isinstance(attack, Native) and attack.neighbour:
            return self.neighbour(engine)
        return contextlib.nullcontext()

    async def run(
        self,
        source: str,
        engine: str,
        *,
        params: dict[str, Any] | None = None,
        policy: dict[str, Any] | None = None,
        name: str = "attack",
        listener: Listener | None = None,
    ) -> RunReport:
        """Run a spell, or the attack of that name. Raises as `Supervisor.run`."""
        _heard.set(listener or self.canaries.listener())
        limits = {"timeout": TIMEOUT, "isolation": self.isolation, **(policy or {})}
        spell = Spell.from_text(source, engine, name)
        return await self.supervisor.run(spell, params=params, policy=Policy(**limits))

    async def cast(self, attack: Attack, engine: str) -> Trial:
        """Let one attack go, and say what came of it. Never raises for what the attack did."""
        listener = self.canaries.listener()
        source = attack.source if isinstance(attack, Script) else attack.key
        forget_peak()
        before, _ = resident()
        began = time.monotonic()
        verdict, grown = None, 0
        try:
            async with self._company(attack, engine):
                report = await self.run(
                    source,
                    engine,
                    params=self.canaries.targets,
                    policy=attack.policy,
                    name=attack.id,
                    listener=listener,
                )
        except SupervisorError as error:
            needed = isinstance(error, IsolationError) and self.skip
            finding = Finding("refused" if needed else "broken", str(error))
        else:
            verdict, grown = report.verdict, max(0, resident()[1] - before)
            finding = _judge(attack, report, grown)
            listener.hear(msgspec.json.encode(report))
        seconds = time.monotonic() - began
        gains = [f"the canary of {place}" for place in listener.found]
        gains += await self.canaries.disturbed()
        if gains:
            finding = Finding("succeeded", ", ".join(gains))
        return Trial(
            id=attack.id,
            key=attack.key,
            title=attack.title,
            engine=engine,
            outcome=finding.outcome,
            by=finding.by,
            verdict=verdict,
            skip=tuple(sorted(self.skip)),
            seconds=seconds,
            grown=grown,
        )


def _judge(attack: Attack, report: RunReport, grown: int) -> Finding:
    if isinstance(attack, Script):
        return judge_script(attack, report)
    policy = report.policy
    frame = max(policy.max_request, policy.max_output) + ENVELOPE
    if grown > frame + SPARE_MEMORY:
        return Finding(
            "succeeded", f"the supervisor grew by {grown} bytes, over a frame of {frame}"
        )
    return (
        judge_native(attack, report) if isinstance(attack, Native) else judge_peer(attack, report)
    )
