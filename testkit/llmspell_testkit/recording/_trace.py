"""The calls of one run, watched: what was asked, what came back, in which order."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from llmspell_bridges import BoundMethod, BridgeError, BudgetExceeded, CallContext, Script, Stream
from llmspell_bridges import ScriptError as ScriptFailed
from llmspell_protocol import Call, ErrorInfo

from ..spells._overlay import Stood

if TYPE_CHECKING:
    from collections.abc import Mapping

Ended = Literal["open", "value", "error", "budget", "closed"]
"""`open`: the run was over first; `budget`: it ended the run; `closed`: a stream that its reader
left, or a call that was cancelled."""


class Step(Struct):
    """One thing that happened in a call between its beginning and its end."""

    at: int
    """Its place among all that happened in the run, counted from 1."""
    kind: Literal["chunk", "invoke"]
    """A value of a stream; a function of the script that was called."""
    value: Any = None
    """The chunk; what the function returned."""
    function: int = 0
    args: list[Any] = []
    error: ErrorInfo | None = None
    """What the function raised."""


class Traced(Struct):
    """One call. Values are `ScriptValue`s; a function in `args` is `{"@function": N}`."""

    method: str
    args: list[Any]
    at: int
    """When it arrived, as `Step.at`."""
    steps: list[Step]
    ended: Ended = "open"
    ended_at: int = 0
    value: Any = None
    """The answer, or what a stream ended with."""
    error: ErrorInfo | None = None
    budget: tuple[Literal["tokens", "cost", "calls"], float, float] | None = None
    """What ran out, how much was asked, how much was left."""


class Trace:
    """What happens in one run, as it happens."""

    def __init__(self) -> None:
        self.calls: list[Traced] = []
        """In the order of their beginning."""
        self._numbers = itertools.count(1)
        self._arrived: dict[int, tuple[object, Traced]] = {}
        """Calls that nobody has begun to serve, by the identity of their arguments."""

    def watch(self, method: BoundMethod) -> BoundMethod:
        """`method`, whose calls are told to this trace."""
        return _Watched(method, self)

    def arrived(self, message: Call) -> None:
        """The script has made a call. It may be refused, or given up, before it is served."""
        args = msgspec.msgpack.decode(message.args)
        call = Traced(message.method, args, next(self._numbers), [])
        self.calls.append(call)
        self._arrived[id(message.args)] = (message.args, call)

    def begun(self, args: bytes | msgspec.Raw) -> Traced:
        """The call whose arguments these are is served now."""
        return self._arrived.pop(id(args))[1]

    def chunk(self, call: Traced, chunk: bytes) -> None:
        """A stream has given a chunk."""
        value = msgspec.msgpack.decode(chunk)
        call.steps.append(Step(next(self._numbers), "chunk", value))

    def invoke(self, call: Traced, function: int, args: bytes) -> Step:
        """A function of the script is called."""
        arguments = msgspec.msgpack.decode(args)
        step = Step(next(self._numbers), "invoke", function=function, args=arguments)
        call.steps.append(step)
        return step

    def end(self, call: Traced, ended: Ended, value: bytes = b"\xc0") -> None:
        """A call is over."""
        call.ended, call.ended_at = ended, next(self._numbers)
        call.value = msgspec.msgpack.decode(value)

    def fail(self, call: Traced, error: BaseException) -> None:
        """A call has failed, or has been cancelled."""
        if isinstance(error, BridgeError):
            call.error = error.info()
            self.end(call, "error")
        elif isinstance(error, BudgetExceeded):
            call.budget = (error.what, error.asked, error.left)
            self.end(call, "budget")
        else:
            self.end(call, "closed")


class _Watched(Stood):
    def __init__(self, method: BoundMethod, trace: Trace) -> None:
        super().__init__(method)
        self._trace = trace

    async def call(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        call = self._trace.begun(args)
        try:
            value = await self.method.call(self._heard(ctx, call), args)
        except BaseException as error:
            self._trace.fail(call, error)
            raise
        self._trace.end(call, "value", value)
        return value

    def stream(self, ctx: CallContext, args: bytes | msgspec.Raw) -> Stream:
        call = self._trace.begun(args)
        try:
            inner = self.method.stream(self._heard(ctx, call), args)
        except BaseException as error:
            self._trace.fail(call, error)
            raise

        async def follow(outer: ServedStream) -> AsyncGenerator[bytes, None]:
            try:
                async for chunk in inner:
                    self._trace.chunk(call, chunk)
                    yield chunk
            except BaseException as error:
                self._trace.fail(call, error)
                raise
            outer.closing = inner.closing
            self._trace.end(call, "value", inner.closing)

        return ServedStream(self.name, ctx, follow, inner)

    def _heard(self, ctx: CallContext, call: Traced) -> CallContext:
        if ctx.script is None:
            return ctx
        return replace(ctx, script=_Listener(ctx.script, self._trace, call))


class ServedStream(Stream):
    """A stream whose chunks are made elsewhere, as msgpack already."""

    def __init__(
        self,
        name: str,
        ctx: CallContext,
        chunks: Callable[[ServedStream], AsyncGenerator[bytes, None]],
        inner: Stream | None = None,
    ) -> None:
        """`chunks` sets `closing` when it is over; `inner` is closed with this."""
        super().__init__(name, ctx, chunks(self))
        self._inner = inner

    async def __anext__(self) -> bytes:
        """The next chunk."""
        chunk: bytes = await anext(self._items)
        return chunk

    async def aclose(self) -> None:
        """End the stream."""
        await self._items.aclose()
        if self._inner is not None:
            await self._inner.aclose()


class _Listener:
    """Calls functions of the script, and tells the trace what they gave."""

    def __init__(self, script: Script, trace: Trace, call: Traced) -> None:
        self._script = script
        self._trace = trace
        self._call = call

    async def invoke(self, function: int, args: bytes) -> bytes:
        """As `Script.invoke`."""
        step = self._trace.invoke(self._call, function, args)
        try:
            value = await self._script.invoke(function, args)
        except ScriptFailed as error:
            step.error = error.info()
            raise
        step.value = msgspec.msgpack.decode(value)
        return value


def describe(calls: list[Traced]) -> list[Mapping[str, Any]]:
    """The calls as scripts read them: method, args, and value, chunks or error."""
    return [_describe(call) for call in calls]


def _describe(call: Traced) -> dict[str, Any]:
    shown: dict[str, Any] = {"method": call.method, "args": call.args}
    chunks = [step.value for step in call.steps if step.kind == "chunk"]
    if chunks:
        shown["chunks"] = chunks
    if call.error is not None:
        shown["error"] = {"kind": call.error.kind, "message": call.error.message}
    else:
        shown["value"] = call.value
    return shown
