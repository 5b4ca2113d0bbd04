"""The calls of one run: policy, budget, the bridge's method, the answer. Exactly one answer each."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw, Struct
from msgspec.structs import replace

from llmspell_bridges import (
    BridgeError,
    BudgetExceeded,
    CallContext,
    ScriptError,
    is_granted,
    rest_of,
)
from llmspell_protocol import (
    NULL,
    Call,
    Chunk,
    ErrorInfo,
    ErrorKind,
    Fault,
    Invoke,
    LocalProtocolError,
    Raise,
    Reply,
    Return,
    ValueRejected,
)

from . import _ending
from ._budget import UNKNOWN, CallBudget
from ._errors import AuditError
from ._nested import NestedCalls

if TYPE_CHECKING:
    from llmspell_bridges import BoundMethod, BridgeRegistry, Effect, Stream
    from llmspell_protocol import Connection

    from ._budget import RunBudget
    from ._channel import Channel
    from ._dry import DryRun
    from ._ending import Ending
    from ._policy import Policy
    from ._record import CallRecord, Observer

STOP_GRACE: Final = 5.0
"""Seconds for a bridge to clean up when its call is cancelled: an HTTP client closes its
connections in milliseconds. What takes longer is left behind and logged; the report is not held."""
MAX_MESSAGE: Final = 8192
"""Characters of an error's message that a script gets: a provider may answer with a whole page."""

_log = logging.getLogger(__name__)


class _Open(Struct, eq=False):
    """A call that awaits its answer."""

    call: Call
    method: BoundMethod | None
    """None when there is none of that name."""
    budget: CallBudget
    began: float
    """On `time.monotonic()`."""
    detail: dict[str, Any]
    """What the bridge notes of it."""
    size: int = 0
    """Bytes of what the script is answered."""
    planned: list[tuple[Effect, str]] = []
    """What a dry run kept the bridge from doing."""
    listed: bool = False
    """By a dry run, which did not make it."""
    recorded: bool = False
    """The observers know how it ended."""
    task: asyncio.Task[None] | None = None
    reading: asyncio.Task[bytes] | None = None
    """Of a stream: what takes chunks from the bridge."""
    room: asyncio.Event | None = None
    """Of a stream: set when the script may have room for more."""
    closed: bool = False
    """Of a stream: the script wants no more."""


class Calls:
    """Serves what the script of one run asks for, until the run has ended."""

    def __init__(
        self,
        policy: Policy,
        budget: RunBudget,
        registry: BridgeRegistry,
        connection: Connection,
        channel: Channel,
        *,
        end: Callable[[Ending], None],
        fail: Callable[[BaseException], None],
        activity: Callable[[str], None],
        observers: tuple[Observer, ...] = (),
        dry: DryRun | None = None,
    ) -> None:
        """`end` ends the run with a verdict, `fail` with an exception that is nobody's verdict.

        `observers` are told of each call before its answer is sent. With `dry`, nothing is
        written, sent or spent; it lists what would have been.
        """
        self.context: CallContext
        """Set when the clocks start, before the first call."""
        self.faults: set[ErrorKind] = set()
        """The kinds of error that scripts were given. What they say of others is their own."""
        self._policy = policy
        self._budget = budget
        self._registry = registry
        self._connection = connection
        self._channel = channel
        self._end = end
        self._fail = fail
        self._activity = activity
        self._observers = observers
        self._heard: Callable[[], Awaitable[None]] | None = None
        self._dry = dry
        self._open: dict[int, _Open] = {}
        self._invoking = asyncio.Lock()  # invocations are sent in the order of their numbers
        self._invoked: dict[int, asyncio.Future[bytes]] = {}
        self._stopped = False
        self._nested = NestedCalls(budget, self._tell if observers else None)

    def wait_for(self, heard: Callable[[], Awaitable[None]]) -> None:
        """Before each answer, await `heard`: the observers are in another process."""
        self._heard = self._nested.heard = heard

    def open(self, call: Call) -> None:
        """Begin to serve a call, if the policy has one left."""
        method = self._registry.get(call.method)
        state = _Open(call, method, CallBudget(self._budget), time.monotonic(), {})
        if not self._budget.count_call(call.method if method else UNKNOWN):
            self._record(state, "call_limit")
            self._end(_ending.call_limit(self._policy))
            return
        state.room = asyncio.Event() if call.credit else None
        self._open[call.id] = state
        serving = self._serve(call, state)
        if method is None or method.waits or self._heard is not None:
            state.task = asyncio.create_task(serving)
        else:
            began = time.thread_time()
            state.task = _started(serving)
            self._channel.excuse(time.thread_time() - began)

    def credit(self, call: int) -> None:
        """The script has read chunks of a stream: there may be room for more."""
        if (state := self._open.get(call)) and state.room:
            state.room.set()

    def close(self, call: int) -> None:
        """The script wants no more of a stream; its end is still answered."""
        if (state := self._open.get(call)) and state.room:
            # Not the whole task: it may not have begun, and it is what gives the answer.
            state.closed = True
            if state.reading:
                state.reading.cancel()

    async def invoke(self, function: int, args: bytes) -> bytes:
        """Call a function of the script. Raises `ScriptError`; see `llmspell_bridges.Script`."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        number = 0
        try:
            async with self._invoking:
                if self._stopped:
                    raise _over()
                number = self._connection.invoked + 1
                self._invoked[number] = answer
                await self._channel.send(Invoke(number, function, Raw(args)))
            return await answer
        except LocalProtocolError:
            raise ScriptError(ErrorInfo("Script", "no call of the script is open")) from None
        except ValueRejected as error:
            message = f"the arguments of a function are too large: {error.reason}"
            raise BridgeError("Limit", message) from None
        finally:
            self._invoked.pop(number, None)

    def invoked(self, answer: Return | Raise) -> None:
        """What came of a function of the script. Nobody waits for it when its call was cancelled."""
        waiting = self._invoked.get(answer.id)
        if waiting is None or waiting.done():
            return
        if isinstance(answer, Raise):
            waiting.set_exception(ScriptError(_bounded(answer.error)))
        elif len(answer.value) > self._policy.max_request:
            message = (
                f"a function returned {len(answer.value)} bytes; the limit is"
                f" {self._policy.max_request} (max_request)"
            )
            waiting.set_exception(ScriptError(ErrorInfo("Limit", message)))
        else:
            waiting.set_result(bytes(answer.value))

    def stop(self) -> None:
        """Cancel everything that is under way: no bridge goes on after the verdict.

        A task that is cancelled before it has begun never begins. One that cleans up is left to
        it: a second `stop` does nothing.
        """
        if self._stopped:
            return
        self._stopped = True
        self._nested.stop()
        for state in self._open.values():
            # A stream that was closed cleans up already, which a second cancellation would cut short.
            if state.task and not (state.closed and state.reading):
                state.task.cancel()
        for waiting in self._invoked.values():  # of what a bridge left running on its own
            if not waiting.done():
                waiting.set_exception(_over())

    async def wait(self) -> None:
        """After `stop`: until the bridges have cleaned up, or `STOP_GRACE` has passed."""
        tasks = [state.task for state in self._open.values() if state.task]
        _, left = await asyncio.wait(tasks, timeout=STOP_GRACE) if tasks else ((), ())
        self._nested.close()
        if left:
            _log.warning("%d calls did not stop within %g s", len(left), STOP_GRACE)
            for task in left:
                task.cancel()
            for state in self._open.values():
                self._record(state, "abandoned")
        for state in tuple(self._open.values()):
            if state.task and state.task.cancelled():  # before it had begun
                self._done(state, "cancelled")

    def release(self) -> None:
        """After `wait`: let the context go, which refers to us."""
        vars(self).pop("context", None)

    def _done(self, state: _Open, outcome: str = "supervisor_error") -> None:
        """A call is over, whichever way it ended; `outcome` is what nobody has recorded yet."""
        self._open.pop(state.call.id, None)
        if self._dry is not None:
            self._dry.add(state.call.method, state.planned)
        self._record(state, outcome)
        state.task = state.reading = None  # whose last frames refer to `state`

    # What is done at the end is done in here: a callback of the task's would take a turn of the loop.
    async def _serve(self, call: Call, state: _Open) -> None:
        try:
            await self._reply(call, state)
        except asyncio.CancelledError:
            self._done(state, "cancelled")
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours, or what a callback raised
            self._done(state)
            self._fail(error)
        else:
            self._done(state)

    async def _reply(self, call: Call, state: _Open) -> None:
        self._activity(call.method)
        answer = await self._answer(call, state)
        if answer is None:
            return
        if self._heard is not None:
            await self._heard()
        state.room = None  # what the script now says of a stream crosses its end
        if isinstance(answer, Fault):
            self.faults.add(answer.error.kind)
        try:
            await self._channel.send(answer)
        except ValueRejected as error:
            refused = ErrorInfo("Limit", f"{call.method}: the answer is too large: {error.reason}")
            await self._channel.send(Fault(call.id, refused))
        self._activity("running")

    async def _answer(self, call: Call, state: _Open) -> Reply | Fault | None:
        """What to tell the script; nothing when the run ends over it."""
        try:
            value = await self._perform(call, state)
        except BudgetExceeded as error:
            ending = _ending.overspent(self._policy, error)
            self._record(state, ending.verdict)
            self._end(ending)
            return None
        except BridgeError as error:
            if error.kind == "Internal":
                _log.warning("%s", error, exc_info=error)
            fault = Fault(call.id, _bounded(error.info()))
            return fault if self._record(state, error.kind) else None
        state.size += len(value)
        outcome = "planned" if state.listed else "ok"
        return Reply(call.id, Raw(value)) if self._record(state, outcome) else None

    def _record(self, state: _Open, outcome: str) -> bool:
        """Tell the observers how a call ended, once. False when that ended the run."""
        if state.recorded or not self._observers:
            return True
        state.recorded = True
        from ._record import record_of

        call = state.call
        return self._tell(
            record_of(
                str(call.id),
                call.method,
                call.args,
                budget=state.budget,
                outcome=outcome,
                began=state.began,
                size=state.size,
                detail=state.detail,
            )
        )

    def _tell(self, record: CallRecord) -> bool:
        """Tell the observers. False when that ended the run."""
        try:
            for observe in self._observers:
                observe(record)
        except AuditError as error:
            self._end(_ending.supervisor_error(error.message, error.hint))
            return False
        return True

    async def _perform(self, call: Call, state: _Open) -> bytes:
        method = state.method
        if method is None or not is_granted(call.method, self._policy.bridges):
            raise BridgeError("Policy", f"{call.method} is not granted to this spell")
        if len(call.args) > self._policy.max_request:
            raise BridgeError(
                "Limit",
                f"{call.method}: {len(call.args)} bytes of arguments; the limit is"
                f" {self._policy.max_request} (max_request)",
            )
        if (
            self._dry is not None
            and (planned := self._dry.answer(self.context, method, call)) is not None
        ):
            state.listed = True
            return planned
        context = replace(
            self.context,
            number=str(call.id),
            calls=self._nested,
            budget=state.budget,
            detail=state.detail,
            dry_run=self._dry is not None,
            planned=state.planned,
            hidden=self._dry.hidden if self._dry else (),
        )
        if method.kind == "call":
            return await method.call(context, call.args)
        if state.room is None:
            raise BridgeError("Validation", f"{call.method} is a stream: ask for chunks")
        if state.closed:
            return NULL
        return await self._read(state, method.stream(context, call.args))

    async def _read(self, state: _Open, stream: Stream) -> bytes:
        """The closing value of a stream, once it has ended or the script has closed it."""
        assert state.room is not None
        state.reading = asyncio.create_task(self._forward(state, state.room, stream))
        try:
            return await state.reading
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not state.closed or (task and task.cancelling()):
                raise
            return NULL
        finally:
            await _close(stream)

    async def _forward(self, state: _Open, room: asyncio.Event, stream: Stream) -> bytes:
        """Hand over chunk after chunk, never more than the script has room for.

        The bridge is one chunk ahead, since the end of a stream needs no room.
        """
        async for chunk in stream:
            while not self._connection.credit(state.call.id):
                room.clear()
                await room.wait()
            state.size += len(chunk)
            await self._channel.send(Chunk(state.call.id, Raw(chunk)))
        return stream.closing


def _started(serving: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """What is left of it once it waits: usually nothing, and no turn of the loop was taken."""
    context = contextvars.copy_context()  # as a task would
    try:
        waited_for = context.run(serving.send, None)
    except StopIteration:
        return None

    async def rest() -> None:
        await rest_of(serving, waited_for)

    return asyncio.create_task(rest(), context=context)


async def _close(stream: Stream) -> None:
    try:
        await stream.aclose()
    except Exception as error:  # noqa: BLE001 - a bug in a bridge's cleaning up ends no run
        _log.warning("a stream did not close: %s", error, exc_info=error)


def _over() -> ScriptError:
    return ScriptError(ErrorInfo("Script", "the script has ended"))


def _bounded(info: ErrorInfo) -> ErrorInfo:
    if len(info.message) <= MAX_MESSAGE:
        return info
    return replace(info, message=info.message[:MAX_MESSAGE] + "...")
