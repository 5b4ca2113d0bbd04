"""The trusted core: holds bridges and zygotes, resolves nothing, runs spells."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec

from llmspell_bridges import BridgeError, BridgeRegistry, load
from llmspell_protocol import ValueRejected, pack
from llmspell_protocol.control import MethodDoc

from ._admission import Admission, Gate
from ._ahead import Ahead
from ._cgroups import Cgroups
from ._errors import AuditError, ConfigError, PolicyError, SupervisorError, UsageError
from ._fields import flag_of
from ._job import Job
from ._policy import MAX_AUDIT, Policy
from ._pool import NO_POOL, PoolSize
from ._report import LogEntry, Problem, RunReport
from ._run import Run
from ._text import escape_line, nearest
from ._turns import Turns
from ._zygotes import Zygote, ZygoteDied

if TYPE_CHECKING:
    from ._audit import AuditLog, Trail
    from ._config import Config
    from ._record import CallRecord, Observer
    from ._shards import Shards
    from ._spell import Spell

BRIDGES: Final = ("llm",)
"""The bridges that come with the supervisor. Others are loaded when a policy first grants them."""

GROUPS_TIMEOUT: Final = 1.0
"""Seconds that the last workers have to leave their control groups, once their zygotes are dead."""

ATTEMPTS: Final = 3
"""Zygotes that one run may lose before a worker has read its script: killed from outside, say."""


class EngineInfo(msgspec.Struct, frozen=True):
    """One script engine, as `info` shows it."""

    name: str
    version: str
    suffixes: tuple[str, ...]
    library: tuple[MethodDoc, ...]
    """Functions that scripts find inside the worker, without a bridge."""
    layers: dict[str, str]
    """Containment layer to its state in the zygote."""


class Supervisor:
    """Runs spells, each in a locked process of its own.

        async with Supervisor() as supervisor:
            report = await supervisor.run(Spell.from_path("hello.lua"))

    Everything that it started is gone at the end of the block. One event loop, not thread-safe.
    """

    _run_type: type[Run] = Run
    """What the attack suite replaces by one that looks closer."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        model: str | None = None,
        pool: PoolSize | None = None,
        admission: Admission | None = None,
        on_log: Callable[[LogEntry], None] | None = None,
        on_activity: Callable[[str], None] | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
        audit: str | None = None,
        ahead: Ahead | None = None,
        shards: int = 0,
    ) -> None:
        """Open nothing yet: see `__aenter__`. One event loop, not thread-safe.

        `model` is the operator's choice and stands above what spells name. `pool` is how many locked
        workers may wait for a run, by default as many as demand is for; `admission` how many runs
        there may be, and how many that wait. The callbacks get each console entry as it arrives, in a
        word what a run is doing, and each call once it is over. `audit` is the file of the audit
        log; the config's, where it names one, is the only one that there may be. `ahead` is what the
        command has begun for its one run; all of it is taken over.

        With `shards`, so many processes do the work, each with an event loop of its own, for where
        one is the bottleneck; the queue, the audit log and the callbacks stay here. They are started
        by `multiprocessing` and import the main module: a script must keep what it does behind
        `if __name__ == "__main__":`. Raises `ValueError` if it is negative.
        """
        if shards < 0:
            raise ValueError("shards: 0 for none, or how many processes")
        self._config = config
        self._model = model
        self._pool = pool or PoolSize()
        self._on_log = on_log
        self._on_activity = on_activity
        self._on_call = on_call
        self._audit_path = audit
        self._audit: AuditLog | None = None
        self._ahead = ahead
        self._zygotes: dict[tuple[str, bool], Zygote] = {}
        self._heirs: dict[tuple[str, bool], Zygote] = {}
        """Zygotes that start, each to take the place of one that is worn."""
        self._leaving: dict[Zygote, asyncio.Task[None] | None] = {}
        """Zygotes that get no more runs, and the task that ends each once it is idle."""
        self._runs: dict[Run, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)
        self._turns = Turns()
        self._gate = Gate(admission or Admission())
        self._shard_count = shards
        self._shards: Shards | None = None
        self._parts = 1
        """Supervisors that share what is counted for all of them: in a shard, how many there are."""
        self._open = False

    async def __aenter__(self) -> Self:
        self._registry = BridgeRegistry(self._load(name) for name in BRIDGES)
        self._audit = self._open_audit()
        try:
            self._cgroups = self._ahead.cgroups if self._ahead else Cgroups()
        except OSError as error:
            raise SupervisorError(f"control groups cannot be used: {error.strerror}") from None
        if self._shard_count:
            await self._open_shards(self._shard_count)
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what still runs, wait for it, and end everything that was started."""
        self._open = False
        self.cancel_all()
        try:
            if self._shards is not None:
                await self._shards.close()
            if self._runs:
                await asyncio.wait(self._runs.values())
        finally:
            try:
                zygotes = [*self._zygotes.values(), *self._heirs.values()]
                zygotes += [zygote for zygote, end in self._leaving.items() if end is None]
                ends = [end for end in self._leaving.values() if end is not None]
                await asyncio.gather(*ends, *(zygote.close() for zygote in zygotes))
            finally:
                await self._leave_groups()
                if self._audit is not None:
                    self._audit.close()
                await self._registry.close()

    async def _leave_groups(self) -> None:
        """Remove the control groups; what is left after a while, the next supervisor removes.

        A worker whose zygote died before it could name it goes with its namespace, a moment later.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GROUPS_TIMEOUT):
                while not self._cgroups.close():  # noqa: ASYNC110 - no kernel tells
                    await asyncio.sleep(0.005)

    async def _open_shards(self, count: int) -> None:
        """Start them. Raises `SupervisorError`, and has left nothing behind then."""
        from ._shards import Shards  # only who wants them pays for multiprocessing

        self._shards = Shards(
            count,
            bridges=self._config.bridges if self._config else {},
            model=self._model,
            pool=self._pool,
        )
        try:
            await self._shards.open()
        except BaseException:
            await self.__aexit__()
            raise

    def _open_audit(self) -> AuditLog | None:
        """The config's log, which a flag cannot replace; else the flag's; else none."""
        settings = self._config.audit if self._config else None
        path = self._audit_path and os.path.abspath(self._audit_path)
        if settings is not None:
            if path not in (None, settings.path):
                other = escape_line(settings.path)
                raise PolicyError(f"--audit: the config has a log already, {other}", "leave it out")
            path = settings.path
        if path is None:
            return None
        from ._audit import AuditLog  # only who wants a log pays for it

        return AuditLog(path, settings.max_size if settings else MAX_AUDIT)

    def _load(self, name: str) -> Any:
        settings = self._config.bridges.get(name) if self._config else None
        try:
            return load(name, settings, parts=self._parts)
        except BridgeError as error:
            raise ConfigError(error.message, key=error.field) from None

    @property
    def bridges(self) -> BridgeRegistry:
        """The bridges of this supervisor. Add more before the first run.

        With shards, each of which makes its own, none can be added: `SupervisorError`.
        """
        return self._registry if self._shards is None else self._shards.registry(self._registry)

    async def run(
        self,
        spell: Spell,
        *,
        params: Mapping[str, Any] | None = None,
        policy: Policy | None = None,
        tenant: str = "",
        dry_run: bool = False,
    ) -> RunReport:
        """Run a spell in a fresh worker. What goes wrong in the spell is a verdict, not an error.

        When as many run as may, it waits for its turn; tenants take turns, whatever each has
        waiting. No clock of the policy runs meanwhile. A `dry_run` reads, and lists in its report
        what it would have written, sent or spent.

        Raises `UsageError` for parameters that are no `ScriptValue`, `IsolationError` when the
        host refuses a layer of containment, `ConfigError` when the policy grants a bridge or method
        that there is not, `Busy` when the queue is full, `SupervisorError` when no worker can be
        had, and what a callback raised: then the run has been ended.
        """
        granted = policy or Policy()
        async with self._gate.turn(tenant):
            return await self._execute(spell, params or {}, granted, "execute", dry_run=dry_run)

    async def validate(
        self, spell: Spell, *, isolation: Literal["strict", "degraded"] = "strict"
    ) -> Problem | None:
        """Parse a spell without running it, in a locked worker. None when it is well formed.

        Raises as `run`; `isolation` is as in `Policy`, since a parser, too, can be attacked.
        """
        async with self._gate.turn(""):
            report = await self._execute(spell, {}, Policy(isolation=isolation), "validate")
        return report.problem

    async def _execute(
        self,
        spell: Spell,
        params: Mapping[str, Any],
        policy: Policy,
        mode: Literal["execute", "validate"],
        *,
        dry_run: bool = False,
    ) -> RunReport:
        try:
            packed = pack(dict(params))
        except ValueRejected as error:
            raise UsageError(f"parameters: {error}") from None
        self._provide(policy)
        number = next(self._numbers)
        trail = self._audit.begin(number, spell) if self._audit and mode == "execute" else None
        observers: tuple[Observer, ...] = (trail.call,) if trail else ()
        if self._on_call is not None:
            observers += (self._on_call,)
        job = Job(
            number=number,
            spell=spell,
            params=packed,
            policy=policy,
            env={n: os.environ[n] for n in policy.allow_env if n in os.environ},
            mode=mode,
            dry_run=dry_run,
            on_log=self._on_log,
            on_activity=self._on_activity,
            observers=observers,
        )
        try:
            report = await self.perform(job)
        except BaseException as error:
            if trail is not None:
                cancelled = isinstance(error, asyncio.CancelledError)
                with contextlib.suppress(AuditError):  # it fails already
                    trail.broke("cancelled" if cancelled else "supervisor_error")
            raise
        return _audited(report, trail) if trail else report

    def _provide(self, policy: Policy) -> tuple[str, ...]:
        """Load what the policy grants; the names of these bridges. Raises `ConfigError`."""
        bridges = tuple(dict.fromkeys(map(_bridge, policy.bridges)))
        for name in bridges:
            if name not in self._registry.names:
                self._registry.add(self._load(name))
        self._check_grants(policy.allow_bridges)
        return bridges

    async def perform(self, job: Job) -> RunReport:
        """Run it, in the worker of another zygote if the first died before the script was read."""
        if self._shards is not None:
            return await self._shards.run(job)
        bridges = self._provide(job.policy)
        if job.mode == "execute" and not job.dry_run:
            self._registry.prefetch(_mentioned(bridges, job.spell.source))
        for attempt in range(1, ATTEMPTS + 1):
            zygote = self._zygote(job.spell.engine, strict=job.policy.isolation == "strict")
            run = self._run_type(
                job.spell,
                job.params,
                job.policy,
                self._registry,
                number=job.number,
                env=job.env,
                model=self._model,
                on_log=job.on_log,
                on_activity=job.on_activity,
                mode=job.mode,
            )
            run.turns = self._turns
            run.observers = job.observers
            run.heard = job.heard
            run.on_start = job.on_start
            if job.dry_run:
                from ._dry import DryRun

                run.dry = DryRun(job.env)
            try:
                return await self._execute_in(zygote, run)
            except ZygoteDied:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError

    async def _execute_in(self, zygote: Zygote, run: Run) -> RunReport:
        """Raises `ZygoteDied` when it died before the script was read: nothing has happened yet."""
        over = self._runs[run] = asyncio.get_running_loop().create_future()
        try:
            return await run.execute(zygote)
        finally:
            del self._runs[run]
            over.set_result(None)
            self._see_off()

    def _check_grants(self, grants: tuple[str, ...]) -> None:
        """Refuse the grant of a method that there is not: it would give nothing, and not say so."""
        for grant in grants:
            if "." in grant and self._registry.get(grant) is None:
                methods = [
                    m.name for m in self._registry.methods if _bridge(m.name) == _bridge(grant)
                ]
                raise ConfigError(
                    f"{flag_of('allow_bridges')} {grant}: there is no such method"
                    f"{nearest(grant, methods)}",
                    f"{_bridge(grant)} has: {', '.join(methods) or 'none'}",
                )

    def _zygote(self, engine: str, *, strict: bool) -> Zygote:
        """The zygote of an engine; a new one where there is none or it has died."""
        if not self._open:
            raise SupervisorError("this supervisor is not open", "use it inside 'async with'")
        key = (engine, strict)
        zygote = self._zygotes.get(key)
        if zygote is None or zygote.dead:
            if zygote is not None:
                self._leaving[zygote] = None
            zygote = self._heirs.pop(key, None) or self._new_zygote(engine, strict=strict)
            self._zygotes[key] = zygote
        elif zygote.worn:
            zygote = self._succeed(key, zygote)
        self._see_off()
        return zygote

    def _succeed(self, key: tuple[str, bool], zygote: Zygote) -> Zygote:
        """The zygote that takes the place of one that is worn; until it is there, the old one."""
        heir = self._heirs.get(key)
        if heir is None or heir.dead:
            heir = self._heirs[key] = self._new_zygote(key[0], strict=key[1])
            # What is wrong with it, if anything, shows when there is no other zygote left.
            asyncio.ensure_future(heir.start()).add_done_callback(_overlook)
        if heir.hello is None:
            return zygote
        self._zygotes[key] = self._heirs.pop(key)
        self._leaving[zygote] = None
        return heir

    def _see_off(self) -> None:
        """End the zygotes that get no more runs as soon as their last one is over."""
        self._leaving = {zygote: end for zygote, end in self._leaving.items() if not zygote.gone}
        for zygote, end in self._leaving.items():
            if end is None and not zygote.busy:
                self._leaving[zygote] = asyncio.ensure_future(zygote.close())

    def _new_zygote(self, engine: str, *, strict: bool) -> Zygote:
        ahead = self._ahead
        if ahead is None or ahead.taken or (ahead.engine, ahead.strict) != (engine, strict):
            ahead = None
        return Zygote(engine, self._cgroups, strict=strict, pool=self._pool, ahead=ahead)

    def cancel_all(self) -> None:
        """End every run with the verdict `cancelled`; their `run` returns."""
        for run in tuple(self._runs):
            run.cancel()
        if self._shards is not None:
            self._shards.cancel_all()

    async def engines(self, names: tuple[str, ...] = ("lua", "javascript")) -> list[EngineInfo]:
        """What the engines say of themselves; starts their zygotes. Raises `SupervisorError`.

        No spell is run, so that a missing layer of containment is no reason to refuse.
        """
        zygotes = [self._zygote(name, strict=False) for name in names]
        hellos = await asyncio.gather(*(zygote.start() for zygote in zygotes))
        return [EngineInfo(h.engine, h.version, h.suffixes, h.library, h.layers) for h in hellos]


def _overlook(task: asyncio.Task[object]) -> None:
    """Mark a task's exception as seen."""
    if not task.cancelled():
        task.exception()


def _audited(report: RunReport, trail: Trail) -> RunReport:
    """The report, once its end is in the audit log: one that cannot be is nobody's success."""
    try:
        trail.end(report)
    except AuditError as error:
        problem = Problem(message=error.message, hint=error.hint)
        return msgspec.structs.replace(
            report, verdict="supervisor_error", value=None, problem=problem
        )
    return report


def _bridge(name: str) -> str:
    return name.partition(".")[0]


def _mentioned(bridges: tuple[str, ...], source: str) -> list[str]:
    """The bridges that a spell seems to use. A hint: being wrong costs a moment, nothing else."""
    # As a word of its own: our own name, in a `#!` line or a comment, holds `llm` too.
    return [name for name in bridges if re.search(rf"\b{name}\b", source)]


def run_spell(
    spell: Spell,
    *,
    params: Mapping[str, Any] | None = None,
    policy: Policy | None = None,
    config: Config | None = None,
    model: str | None = None,
) -> RunReport:
    """Run one spell and wait: the synchronous front of `Supervisor`. Raises as `Supervisor.run`.

    Not for use inside a running event loop.
    """

    async def once() -> RunReport:
        async with Supervisor(config, model=model, pool=NO_POOL) as supervisor:
            return await supervisor.run(spell, params=params, policy=policy)

    return asyncio.run(once())
