"""One run: one worker, one spell, one verdict."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from llmspell_bridges import CallContext
from llmspell_protocol import (
    Call,
    Caps,
    Close,
    Connection,
    Credit,
    Failure,
    Log,
    Ready,
    RemoteProtocolError,
    Result,
    Role,
    Start,
    WorkerLimits,
    WorkerMessage,
    unpack,
)
from llmspell_protocol.control import WorkerOptions
from msgspec import Raw

from . import _ending
from ._budget import ENTRY_COST, RunBudget
from ._calls import Calls
from ._channel import Channel
from ._ending import Ending
from ._errors import SupervisorError
from ._policy import MIB, Policy
from ._report import LogEntry, RunReport, Usage

if TYPE_CHECKING:
    from llmspell_bridges import BridgeRegistry

    from ._spell import Spell
    from ._zygotes import Worker, Zygote

READY_TIMEOUT: Final = 20.0
"""Seconds for a forked worker to be locked and say Ready, which takes 2 to 30 ms."""
ENGINE_OVERHEAD: Final = 32 * MIB
"""Bytes of a worker that are not the script's: the interpreter and the engine's own. The engine's
heap limit is that much below the worker's, so that its own error comes before the kernel's."""
ENVELOPE: Final = 64 * 1024
"""Bytes that a frame may have beyond the value in it."""
_CPU_BACKSTOP: Final = 2
"""Seconds of `RLIMIT_CPU` above the limit that the supervisor's clock enforces first."""


class Run:
    """Everything that the supervisor knows of one run. Used once."""

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
    ) -> None:
        self._spell = spell
        self._params = params
        self._policy = policy
        self._registry = registry
        self._number = number
        self._env = env
        self._model = model
        self._on_log = on_log
        self._activity = on_activity or (lambda _: None)
        self._usage = Usage()
        self._budget = RunBudget(policy, self._usage)
        self._logs: list[LogEntry] = []
        self._layers: dict[str, str] = {}
        self._ending: asyncio.Future[Ending | None] = asyncio.get_running_loop().create_future()
        self._deadline = math.inf
        self._began = 0.0
        self._cpu_began = 0.0
        self._timers: list[asyncio.TimerHandle] = []

    # --- the whole ------------------------------------------------------------------------------

    async def execute(
        self, zygote: Zygote, mode: Literal["execute", "validate"] = "execute"
    ) -> RunReport:
        """Run it. Returns the report whatever the spell did; raises `SupervisorError` before."""
        self._activity("starting")
        self._mode: Literal["execute", "validate"] = mode
        async with zygote.worker(self._options()) as worker:
            self._open(worker)
            try:
                ending = await asyncio.shield(self._ending)
                if ending is None:  # the pipe has ended: the exit status tells why
                    await self._exit_of(worker)
            finally:
                self._stop()
                worker.kill()
                await self._calls.cancel()
        return self._report(ending, worker, zygote)

    def _open(self, worker: Worker) -> None:
        connection = Connection(Role.HOST, self._caps())
        self._worker = worker
        self._channel = Channel(
            connection, worker.read_fd, worker.write_fd, self._handle, self._closed
        )
        self._calls = Calls(
            self._policy,
            self._budget,
            self._registry,
            connection,
            self._channel,
            self._end,
            self._activity,
        )
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(READY_TIMEOUT, self._never_ready))

    def cancel(self) -> None:
        """End the run with the verdict `cancelled`."""
        self._end(_ending.cancelled())

    def _end(self, ending: Ending | None) -> None:
        """The first ending is the ending: a killed worker's confusion cannot replace it."""
        if not self._ending.done():
            self._ending.set_result(ending)
            self._stop()
            if ending is not None:
                self._worker.kill()

    def _stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._channel.close()

    async def _exit_of(self, worker: Worker) -> None:
        """Give a worker whose pipe has ended a moment to exit by itself, for its true status."""
        with contextlib.suppress(TimeoutError, SupervisorError):
            async with asyncio.timeout(0.5):
                await asyncio.shield(worker.exited)

    # --- limits ---------------------------------------------------------------------------------

    def _options(self) -> WorkerOptions:
        policy = self._policy
        return WorkerOptions(
            memory=policy.memory,
            heap=policy.memory - ENGINE_OVERHEAD,
            cpu_seconds=math.ceil(policy.cpu) + _CPU_BACKSTOP,
            jit=policy.jit,
        )

    def _caps(self) -> Caps:
        policy = self._policy
        return Caps(
            worker_frame=max(policy.max_request, policy.max_output) + ENVELOPE,
            host_frame=max(policy.max_response, len(self._spell.source) * 3 + len(self._params))
            + ENVELOPE,
            in_flight=policy.max_concurrent,
        )

    def _never_ready(self) -> None:
        self._end(
            _ending.supervisor_error(
                f"the worker was not ready within {READY_TIMEOUT:g} s",
                "run 'llmspell-supervisor doctor'",
            )
        )

    def _start_clocks(self) -> None:
        loop = asyncio.get_running_loop()
        self._timers.pop().cancel()
        self._began = time.monotonic()
        self._deadline = self._began + self._policy.timeout
        self._cpu_began = self._worker.cpu_time()
        self._timers.append(
            loop.call_later(self._policy.timeout, self._end, _ending.wall_limit(self._policy))
        )
        self._check_cpu()

    def _check_cpu(self) -> None:
        """Look at the worker's processor clock, and again when it can first be over the limit."""
        used = self._worker.cpu_time() - self._cpu_began
        if used >= self._policy.cpu:
            self._end(_ending.cpu_limit(self._policy))
            return
        pause = max((self._policy.cpu - used) / 2, 0.005) if used else self._policy.cpu
        self._cpu_timer = asyncio.get_running_loop().call_later(pause, self._check_cpu)
        self._timers[1:] = [self._cpu_timer]

    # --- messages -------------------------------------------------------------------------------

    def _closed(self, breach: RemoteProtocolError | None) -> None:
        self._end(_ending.protocol_violation(str(breach)) if breach else None)

    def _handle(self, message: WorkerMessage) -> None:
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
                self._failed(message)
            case _:
                self._end(_ending.protocol_violation("an answer to what was never asked"))

    def _ready(self, message: Ready) -> None:
        self._layers.update(message.layers)
        self._start_clocks()
        self._calls.context = self._context()
        self._activity("running")
        policy = self._policy
        start = Start(
            mode=self._mode,
            name=self._spell.name,
            source=self._spell.source,
            params=Raw(self._params),
            env=dict(self._env),
            manifest=self._registry.manifest(policy.allow_bridges),
            limits=WorkerLimits(
                heap=policy.memory - ENGINE_OVERHEAD,
                max_request=policy.max_request,
                max_result=policy.max_output,
                max_in_flight=policy.max_concurrent,
            ),
        )
        self._starting = asyncio.create_task(self._channel.send(start))

    def _console(self, level: Any, text: str) -> None:
        size = max(len(text.encode()) + 1, ENTRY_COST)
        if not self._budget.count_output(size):
            self._end(_ending.output_limit(self._policy))
            return
        entry = LogEntry(time.monotonic() - self._began, level, text)
        self._logs.append(entry)
        if self._on_log is not None:
            self._on_log(entry)

    def _result(self, value: bytes) -> None:
        if not self._budget.count_output(len(value)):
            self._end(_ending.output_limit(self._policy))
            return
        self._end(Ending("ok", value=value))

    def _failed(self, message: Failure) -> None:
        if not self._began:
            self._end(_ending.supervisor_error(f"no worker: {message.error.message}"))
        elif message.error.kind == "Internal":
            self._end(_ending.engine_crash(message.error.message))
        elif message.error.field == "max_output":
            self._end(_ending.output_limit(self._policy))
        else:
            self._end(_ending.from_failure(message, self._policy))

    def _context(self) -> CallContext:
        return CallContext(
            run_id=str(self._number),
            spell=self._spell.name,
            deadline=self._deadline,
            policy=self._policy,
            budget=self._budget,
            model=self._model,
        )

    # --- the report -----------------------------------------------------------------------------

    def _report(self, ending: Ending | None, worker: Worker, zygote: Zygote) -> RunReport:
        usage = self._usage
        if self._began:
            usage.wall = time.monotonic() - self._began
        peak, exited = worker.peak_memory, worker.exit
        if exited is not None:
            usage.cpu = exited.cpu
            peak = peak or exited.max_rss
        usage.peak_memory = peak
        if ending is None:
            ending = (
                _ending.from_exit(
                    exited, self._policy, peak=peak, out_of_memory=worker.out_of_memory
                )
                if exited
                else _ending.supervisor_error("the zygote died, and the worker with it")
            )
        return RunReport(
            spell=self._spell.name,
            engine=self._spell.engine,
            verdict=ending.verdict,
            value=unpack(ending.value) if ending.value is not None else None,
            problem=ending.problem,
            logs=tuple(self._logs),
            usage=usage,
            policy=self._policy,
            layers={**(zygote.hello.layers if zygote.hello else {}), **self._layers},
        )
