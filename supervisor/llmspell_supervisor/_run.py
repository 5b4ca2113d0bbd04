"""One run: one worker, one spell, one verdict."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from llmspell_bridges import CallContext, RunState
from llmspell_protocol import (
    NULL,
    Call,
    Caps,
    Close,
    Connection,
    Credit,
    Failure,
    Log,
    Raise,
    Ready,
    RemoteProtocolError,
    Result,
    Return,
    Role,
    Start,
    Trap,
    WorkerLimits,
    WorkerMessage,
    unpack,
)

from . import _ending
from ._ahead import worker_options
from ._budget import ENTRY_COST, ENTRY_RATE, EntryRate, RunBudget
from ._calls import STOP_GRACE, Calls
from ._channel import Channel
from ._ending import Ending
from ._policy import Policy
from ._report import LogEntry, RunReport, Usage
from ._turns import Turns
from ._zygotes import ZygoteDied

if TYPE_CHECKING:
    from llmspell_bridges import BridgeRegistry
    from llmspell_protocol import LogLevel

    from ._dry import DryRun
    from ._record import Observer
    from ._spell import Spell
    from ._worker import Worker
    from ._zygotes import Zygote

READY_TIMEOUT: Final = 20.0
"""Seconds for a forked worker to be locked and say Ready, which takes 2 to 30 ms."""
EXIT_PATIENCE: Final = 2.0
"""Seconds between the end of a worker's pipe and its exit, so that it is told by its true status.
Both happen in the same system call; what the zygote reports of it arrives a millisecond later."""
ENVELOPE: Final = 64 * 1024
"""Bytes that a frame may have beyond the value in it."""
CPU_PRECISION: Final = 0.005
"""Seconds between two looks at a processor clock that is about to reach its limit."""
_log = logging.getLogger(__name__)

_CPUS: Final = len(os.sched_getaffinity(0))
"""How much faster than the wall's a worker's processor clock can run: it may have threads."""


class Run:
    """Everything that the supervisor knows of one run. Used once."""

    _ready_timeout: ClassVar[float] = READY_TIMEOUT

    def __init__(
        self,
        spell: Spell,
        params: bytes,
        policy: Policy,
        registry: BridgeRegistry,
        *,
        number: int,
        env: Mapping[str, str],
        model: str | None,
        on_log: Callable[[LogEntry], None] | None,
        on_activity: Callable[[str], None] | None,
        mode: Literal["execute", "validate"] = "execute",
    ) -> None:
        self.turns = Turns()
        """Replaced before the run by those of the supervisor, which all of its runs share."""
        self.observers: tuple[Observer, ...] = ()
        """Set before the run: who is told of its calls."""
        self.heard: Callable[[], Awaitable[None]] | None = None
        """Set before the run: waits until observers in another process have heard of every call."""
        self.on_start: Callable[[], None] | None = None
        """Set before the run: called before the worker is sent the script."""
        self.dry: DryRun | None = None
        """Set before a run that is to have no effects: where they are listed."""
        self._spell = spell
        self._policy = policy
        self._registry = registry
        self._number = number
        self._model = model
        self._on_log = on_log
        self._activity = on_activity or (lambda _: None)
        self._usage = Usage()
        self._budget = RunBudget(policy, self._usage)
        self._logs: list[LogEntry] = []
        self._rate = EntryRate()
        self._layers: dict[str, str] = {}
        self._ending: asyncio.Future[Ending | None] = asyncio.get_running_loop().create_future()
        self._began: float | None = None
        self._ended = 0.0
        self._cpu_began = 0.0
        self._timers: dict[Literal["ready", "wall", "cpu"], asyncio.TimerHandle] = {}
        self._worker: Worker | None = None
        self._channel: Channel | None = None
        self._calls: Calls | None = None
        self._kept = RunState()
        self._trap: Trap | None = None
        self._garbled = False
        self._options = worker_options(policy, spell.engine)
        self._start = self._start_message(params, env, mode)

    # --- the whole ------------------------------------------------------------------------------

    async def execute(self, zygote: Zygote) -> RunReport:
        """Run it. Returns the report whatever the spell did.

        Raises `SupervisorError` when no worker can be had, `ZygoteDied` if the zygote went before the
        worker had read anything of the script, and what a callback of the embedder's raised.
        """
        try:
            return await self._execute(zygote)
        finally:
            # They refer to us. Without the circle all of it is freed at once: a collector would leave
            # megabytes of logs about for thousands of runs.
            if self._calls:
                self._calls.release()
            self._channel = self._calls = self._worker = None
            self._logs = []

    async def _execute(self, zygote: Zygote) -> RunReport:
        self._activity("starting")
        if not await self._started(zygote):
            return self._report(self._ending.result() or _ending.cancelled(), None, zygote)
        async with zygote.worker(self._options) as worker:
            try:
                self._open(worker)
                ending = await asyncio.shield(self._ending)
                if ending is None and not await self._has_exited(worker):
                    said = "closed its pipe" if self._trap is None else "said that it was stopped"
                    ending = _ending.protocol_violation(f"the worker {said} and went on")
                if ending is None and worker.exit is None and self._is_unread():
                    raise ZygoteDied(f"the {self._spell.engine} zygote has died")
            finally:
                self._stop()
                worker.kill()
                if self._calls:
                    await self._calls.wait()
                if not self._kept.is_empty:
                    await self._close_kept()
        if self._garbled and _ending.was_forbidden_call(worker.exit):
            ending = None  # one thread was stopped while another one wrote: no lie, half a frame
        return self._report(ending or self._last_word(worker), worker, zygote)

    def _is_unread(self) -> bool:
        """Whether the script has certainly not been run: no byte of it has left the pipe."""
        return self._channel is None or self._channel.is_unread()

    async def _close_kept(self) -> None:
        """What bridges kept for the run goes with it; a bug in that is no part of its verdict."""
        try:
            async with asyncio.timeout(STOP_GRACE):
                await self._kept.close()
        except Exception as error:  # noqa: BLE001
            _log.warning("state of a run did not close: %s", error, exc_info=error)

    async def _started(self, zygote: Zygote) -> bool:
        """Wait for the zygote; False when the run was ended before it was there."""
        if zygote.hello is not None:
            return not self._ending.done()
        starting = asyncio.create_task(zygote.start())
        try:
            await asyncio.wait((starting, self._ending), return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                return False
            starting.result()
            return True
        finally:
            starting.cancel()

    def _open(self, worker: Worker) -> None:
        connection = self._connect()
        self._worker = worker
        self._channel = Channel(
            connection,
            worker.read_fd,
            worker.write_fd,
            self._receive,
            self._closed,
            self.turns,
        )
        self._calls = Calls(
            self._policy,
            self._budget,
            self._registry,
            connection,
            self._channel,
            end=self._end,
            fail=self._fail,
            activity=self._activity,
            observers=self.observers,
            dry=self.dry,
        )
        if self.heard is not None:
            self._calls.wait_for(self.heard)
        self._after("ready", self._ready_timeout, self._never_ready)
        if self._ending.done():  # cancelled while the worker was being forked
            self._stop()

    def _connect(self) -> Connection:
        return Connection(Role.HOST, self._caps())

    def cancel(self) -> None:
        """End the run with the verdict `cancelled`."""
        self._end(_ending.cancelled())

    def _end(self, ending: Ending | None) -> None:
        """The first ending is the ending: a killed worker's confusion cannot replace it."""
        if not self._ending.done():
            self._ending.set_result(ending)
            self._stop()
            if ending is not None and self._worker:
                self._worker.kill()

    def _fail(self, error: BaseException) -> None:
        """End the run by an exception of ours, or of a callback of the embedder's."""
        if not self._ending.done():
            self._ending.set_exception(error)
            self._ending.exception()  # marked as seen: a cancelled run does not look
            self._stop()

    def _stop(self) -> None:
        """Nothing is read, written, begun or committed from here on."""
        if self._began is not None and not self._ended:
            self._ended = time.monotonic()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._channel:
            self._channel.close()
        if self._calls:
            self._calls.stop()

    async def _has_exited(self, worker: Worker) -> bool:
        """Give a worker whose pipe has ended a moment to exit by itself, for its true status."""
        await asyncio.wait({worker.exited}, timeout=EXIT_PATIENCE)
        return worker.exited.done()

    # --- limits ---------------------------------------------------------------------------------

    def _caps(self) -> Caps:
        policy = self._policy
        start = len(msgspec.msgpack.encode(self._start))
        return Caps(
            worker_frame=max(policy.max_request, policy.max_output) + ENVELOPE,
            host_frame=max(policy.max_response + ENVELOPE, start),
            in_flight=policy.max_concurrent,
        )

    def _after(
        self,
        name: Literal["ready", "wall", "cpu"],
        seconds: float,
        act: Callable[[], None],
    ) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, act)

    def _never_ready(self) -> None:
        self._end(
            _ending.supervisor_error(
                f"the worker was not ready within {self._ready_timeout:g} s",
                "run 'llmspell-supervisor doctor'",
            )
        )

    def _start_clocks(self, worker: Worker) -> None:
        self._timers.pop("ready").cancel()
        self._began = time.monotonic()
        self._after("wall", self._policy.timeout, self._too_long)
        self._cpu_began = self._read_cpu(worker)
        self._check_cpu()

    def _read_cpu(self, worker: Worker) -> float:
        """Its processor clock; a limit that nobody can watch ends the run."""
        try:
            return worker.cpu_time()
        except OSError as error:
            reason = f"the worker's processor clock cannot be read: {error.strerror}"
            self._end(_ending.supervisor_error(reason))
            return 0.0

    def _too_long(self) -> None:
        self._end(_ending.wall_limit(self._policy))

    def _check_cpu(self) -> None:
        """Look at the worker's processor clock, and again when it can first be over the limit."""
        assert self._worker is not None
        left = self._policy.cpu - (self._read_cpu(self._worker) - self._cpu_began)
        if left <= 0:
            self._end(_ending.cpu_limit(self._policy))
        elif not self._ending.done():
            self._after("cpu", max(left / _CPUS, CPU_PRECISION), self._check_cpu)

    # --- messages -------------------------------------------------------------------------------

    def _closed(self, cause: RemoteProtocolError | OSError | None) -> None:
        self._garbled = isinstance(cause, RemoteProtocolError)
        if isinstance(cause, OSError):
            self._end(_ending.supervisor_error(f"a pipe of the worker's failed: {cause.strerror}"))
        else:
            self._end(_ending.protocol_violation(str(cause)) if cause else None)

    def _receive(self, message: WorkerMessage) -> None:
        try:
            self._handle(message)
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits the run
            self._fail(error)

    def _handle(self, message: WorkerMessage) -> None:
        assert self._calls is not None
        match message:
            case Ready():
                self._ready(message)
            case Log(level, text):
                self._console(level, text)
            case Call():
                self._calls.open(message)
            case Credit(call):
                self._calls.credit(call)
            case Close(call):
                self._calls.close(call)
            case Result(value):
                self._result(bytes(value))
            case Failure():
                self._end(self._failed(message, self._calls))
            case Trap():
                self._trap = message
                self._end(None)  # as if its pipe had ended: the exit tells whether it is true
            case Return() | Raise():
                self._calls.invoked(message)

    def _ready(self, message: Ready) -> None:
        assert self._worker is not None
        assert self._channel is not None
        assert self._calls is not None
        self._layers.update(message.layers)
        self._start_clocks(self._worker)
        self._calls.context = self._context()
        self._activity("running")
        if self.on_start is not None:
            self.on_start()
        self._channel.begin(self._start)

    def _start_message(
        self, params: bytes, env: Mapping[str, str], mode: Literal["execute", "validate"]
    ) -> Start:
        policy = self._policy
        return Start(
            mode=mode,
            name=self._spell.name,
            source=self._spell.source,
            params=Raw(params),
            env=dict(env),
            manifest=self._registry.manifest(policy.bridges),
            limits=WorkerLimits(
                heap=self._options.heap,
                max_request=policy.max_request,
                max_result=policy.max_output,
                max_in_flight=policy.max_concurrent,
            ),
        )

    def _console(self, level: LogLevel, text: str) -> None:
        assert self._began is not None
        size = max(len(text.encode()) + 1, ENTRY_COST)
        if not self._budget.count_output(size):
            self._end(_ending.output_limit(self._policy))
            return
        at = time.monotonic() - self._began
        if self._rate.admits(at):
            self._mark_suppressed(at)
            self._keep(LogEntry(at, level, text))

    def _mark_suppressed(self, at: float) -> None:
        """Say how many entries there would be here, if the spell made them more slowly."""
        if count := self._rate.suppressed():
            text = f"{count} entries suppressed: more than {ENTRY_RATE} a second"
            self._keep(LogEntry(at, "warn", text, count))

    def _keep(self, entry: LogEntry) -> None:
        self._logs.append(entry)
        if self._on_log is not None:
            self._on_log(entry)

    def _result(self, value: bytes) -> None:
        if value != NULL and not self._budget.count_output(len(value)):
            self._end(_ending.output_limit(self._policy))
            return
        self._end(Ending("ok", value=value))

    def _failed(self, message: Failure, calls: Calls) -> Ending:
        """What a worker's last word comes to, as far as the host can bear it out."""
        error = message.error
        if self._began is None:
            return _ending.supervisor_error(
                f"no worker: {_ending.bounded(error).message}",
                "run 'llmspell-supervisor doctor'",
            )
        if error.kind == "Limit" and error.field == "max_output":
            return _ending.output_limit(self._policy)
        ending = _ending.from_failure(message, self._policy, faults=calls.faults)
        if ending.verdict == "script_error" and error.kind == "Script" and ending.problem:
            from ._missing import missing_grant

            grants = self._policy.bridges
            hint = missing_grant(ending.problem, self._spell.source, grants, self._registry)
            if hint:
                return replace(ending, problem=replace(ending.problem, hint=hint))
        return ending

    def _context(self) -> CallContext:
        assert self._began is not None
        return CallContext(
            run_id=str(self._number),
            spell=self._spell.name,
            identity=self._spell.path or f"text:{self._spell.name}",
            engine=self._spell.engine,
            deadline=self._began + self._policy.timeout,
            policy=self._policy,
            budget=self._budget,
            model=self._model,
            script=self._calls,
            run=self._kept,
            bridges=self._registry.granted(self._policy.allow_bridges),
        )

    # --- the report -----------------------------------------------------------------------------

    def _last_word(self, worker: Worker) -> Ending:
        """What to make of a worker that ended without one."""
        if worker.exit is None:
            return _ending.supervisor_error(
                f"{worker.lost or 'the zygote has died'}; so has the worker"
            )
        ending = _ending.from_exit(
            worker.exit,
            self._policy,
            peak=worker.peak_memory,
            out_of_memory=worker.out_of_memory,
            trap=self._trap,
        )
        if self._began is None and ending.verdict != "memory_limit" and ending.problem:
            return _ending.supervisor_error(
                f"{ending.problem.message} before it was ready", "run 'llmspell-supervisor doctor'"
            )
        return ending

    def _report(self, ending: Ending, worker: Worker | None, zygote: Zygote) -> RunReport:
        usage = self._usage
        sworn = zygote.hello.layers if zygote.hello else {}
        if self._began is not None:
            usage.wall = self._ended - self._began
            self._mark_suppressed(usage.wall)
        if worker is not None:
            usage.peak_memory = worker.peak_memory
            if worker.exit is not None:
                usage.cpu = worker.exit.cpu
                usage.peak_memory = usage.peak_memory or worker.exit.max_rss
        return RunReport(
            spell=self._spell.name,
            engine=self._spell.engine,
            verdict=ending.verdict,
            value=unpack(ending.value) if ending.value is not None else None,
            problem=ending.problem,
            logs=tuple(self._logs),
            usage=usage,
            policy=self._policy,
            dry_run=self.dry is not None,
            planned=tuple(self.dry.planned) if self.dry else (),
            unlisted=self.dry.unlisted if self.dry else 0,
            # The zygote's word stands above the worker's: it was locked before any spell came.
            layers=sworn | self._layers | sworn,
        )
