"""How a bridge is declared, and what the supervisor sees of it.

    class Clock(Bridge):
        name = "clock"

        @method
        async def now(self, ctx: CallContext, zone: str = "UTC") -> Moment:
            \"\"\"The time in a zone.\"\"\"

        @method
        async def ticks(self, ctx: CallContext, every: float) -> AsyncIterator[Tick | End[Summary]]:
            \"\"\"A tick every so many seconds, then how many there were.\"\"\"
            yield Tick(...)
            yield End(Summary(...))

Names, argument validation, documentation and `info` are derived from those lines. A coroutine is a
call; an async generator is a stream, whose closing value, if it has one, is yielded last as `End`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec

from llmspell_protocol import NULL, ArgumentError, Signature, ValueRejected, pack, type_name

from ._effects import PERFORMED, Effect, Planned, describe_call, zero
from ._errors import BridgeError, BudgetExceeded
from ._grants import is_granted

if typing.TYPE_CHECKING:
    from llmspell_protocol import MethodKind, Parameter

    from ._context import CallContext

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__llmspell_method__"
_CO_ASYNC_GENERATOR: Final = 0x200  # inspect.CO_ASYNC_GENERATOR, without importing inspect
_OVER: Final[Any] = object()  # no stream yields this
_clock: ContextVar[asyncio.Timeout | None] = ContextVar("clock", default=None)


class BridgeConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of a bridge's section in the config file. Each field has a default."""


class Bridge:
    """A host service for scripts: a subclass with a `name` and methods marked `@method`."""

    name: ClassVar[str]
    """How scripts call it: lower-case letters, digits and `_`."""
    config: ClassVar[type[BridgeConfig]] = BridgeConfig
    """The type of its section in the config file. The constructor takes one instance."""

    def __init__(self, config: BridgeConfig) -> None:
        """Keep what the operator configured. Must not block, import or open anything heavy."""

    def prefetch(self) -> None:
        """Begin in the background what the first call will wait for. Called on a running loop."""

    async def close(self) -> None:
        """Free what the calls have opened. Called once, after the last run."""


class End(msgspec.Struct, Generic[T], frozen=True):
    """The closing value of a stream: what its reader gets when the chunks are over."""

    value: T


@typing.overload
def method(function: F, /) -> F: ...
@typing.overload
def method(*, effect: Effect) -> Callable[[F], F]: ...
def method(function: F | None = None, /, *, effect: Effect = "unknown") -> F | Callable[[F], F]:
    """Let scripts call this method of a bridge. A dry run calls it only if its `effect` allows."""

    def mark(function: F) -> F:
        setattr(function, _MARK, effect)
        return function

    return mark if function is None else mark(function)


class MethodInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One method as `info` shows it."""

    name: str
    """`bridge.method`, in snake_case."""
    kind: MethodKind
    doc: str
    parameters: tuple[Parameter, ...]
    result: str
    closing: str = ""
    """What a stream ends with; empty when it is null."""
    effect: Effect = "unknown"


class BoundMethod:
    """One method of one bridge: the only way in which the supervisor calls it.

    Raises `BridgeError` for whatever the script may handle, bad arguments and bugs of the bridge
    included, and lets `BudgetExceeded` and cancellation through.
    """

    def __init__(self, bridge: Bridge, function: Callable[..., Any]) -> None:
        self.name: str = f"{bridge.name}.{function.__name__}"
        code = function.__code__
        self.kind: MethodKind = "stream" if code.co_flags & _CO_ASYNC_GENERATOR else "call"
        self.effect: Effect = getattr(function, _MARK)
        self._bridge = bridge
        self._function = function

    @functools.cached_property
    def signature(self) -> Signature:
        """Parameters and result. Built when first needed: a run pays for what it calls."""
        return Signature(self._function, skip=("self", "ctx"))

    def describe(self) -> MethodInfo:
        """What `info` and the documentation show."""
        signature = self.signature
        result, closing = signature.result, ""
        if self.kind == "stream":
            chunks, ends = self._arms()
            result = " or ".join(type_name(a) for a in chunks)
            closing = " or ".join(type_name(a) for a in ends)
        return MethodInfo(
            name=self.name,
            kind=self.kind,
            doc=signature.doc,
            parameters=signature.parameters,
            result=result,
            closing=closing,
            effect=self.effect,
        )

    def _arms(self) -> tuple[list[Any], list[Any]]:
        """Of a stream: the types of its chunks, and of its closing value."""
        items = typing.get_args(self.signature.result_type)[0]
        arms = typing.get_args(items) or (items,)
        ends = [a for a in arms if typing.get_origin(a) is End]
        return [a for a in arms if a not in ends], [typing.get_args(a)[0] for a in ends]

    @property
    def is_called_dry(self) -> bool:
        """Whether a dry run calls it; otherwise it `plan`s it."""
        return self.effect in PERFORMED

    def plan(
        self, args: bytes | msgspec.Raw, hidden: typing.Iterable[str]
    ) -> tuple[Planned, bytes]:
        """What calling it would do, and what a script is answered in its place; see `_effects`.

        Arguments are checked as for a call. Of a stream, the answer is its closing value.
        """
        self._decode(args)
        values = msgspec.msgpack.decode(args)  # as they were given, without defaults
        text = describe_call(self.name, self.signature.parameters, values, hidden)
        hint = self.signature.result_type
        if self.kind == "stream":
            ends = self._arms()[1]
            hint = ends[0] if ends else None
        answer = _encode(self.name, zero(hint))
        return Planned(method=self.name, effect=self.effect, description=text), answer

    async def call(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        """Call it. Takes and returns msgpack: an array of arguments, one value."""
        values = self._decode(args)
        with _only_bridge_errors(self.name):
            work = self._function(self._bridge, ctx, *values)
            value = await _within(ctx.call_timeout(), self.name, work)
            data = _encode(self.name, value)
        _check_size(self.name, len(data), ctx.policy.max_response)
        return data

    def stream(self, ctx: CallContext, args: bytes | msgspec.Raw) -> Stream:
        """Open a stream. Raises `BridgeError` at once if the arguments do not fit."""
        values = self._decode(args)
        return Stream(self.name, ctx, self._function(self._bridge, ctx, *values))

    def _decode(self, args: bytes | msgspec.Raw) -> list[Any]:
        try:
            return self.signature.decode(args)
        except ArgumentError as error:
            message = f"{self.name}: {error}"
            raise BridgeError("Validation", message, field=error.field) from None


class Stream(AsyncIterator[bytes]):
    """An open stream: iterate for the chunks (msgpack), then read `closing`.

    Nothing is read ahead: the bridge runs only while the next chunk is awaited, so a reader that
    waits holds the producer back. Always `aclose()` a stream that was not read to its end.
    """

    def __init__(self, name: str, ctx: CallContext, items: AsyncGenerator[Any, None]) -> None:
        self.closing: bytes = NULL
        """The closing value as msgpack; null until the stream has ended by itself."""
        self._name = name
        self._ctx = ctx
        self._items = items
        self._size = 0

    async def __anext__(self) -> bytes:
        """The next chunk. Raises `BridgeError`; the stream is over then."""
        with _only_bridge_errors(self._name):
            work = anext(self._items, _OVER)
            item = await _within(self._ctx.call_timeout(), self._name, work)
            if item is _OVER:
                raise StopAsyncIteration
            last = isinstance(item, End)
            data = _encode(self._name, item.value if last else item)
        # The closing value repeats what the chunks said, so it is measured by itself.
        self._size += 0 if last else len(data)
        try:
            _check_size(self._name, max(self._size, len(data)), self._ctx.policy.max_response)
        except BridgeError:
            await self.aclose()
            raise
        if last:
            self.closing = data
            await self.aclose()
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """End the stream: the bridge frees what it holds for it. Safe to repeat."""
        await self._items.aclose()


async def _within(seconds: float, name: str, work: Awaitable[T]) -> T:
    """Await `work` for `seconds` at most; a timeout of its own is told apart from ours."""
    limit = asyncio.timeout(seconds)
    outer = _clock.set(limit)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        message = f"{name}: no answer within {seconds:g} s"
        raise BridgeError("Timeout", message, retryable=True, duration=seconds) from None
    finally:
        _clock.reset(outer)


@contextlib.contextmanager
def off_the_clock() -> Iterator[None]:
    """For what only a first call waits for, such as an import: `request_timeout` stands still.

    The run's own deadline does not. Use it inside a method, around an `await`.
    """
    clock = _clock.get()
    until = clock.when() if clock is not None else None
    if clock is None or until is None:
        yield
        return
    now = asyncio.get_running_loop().time
    began = now()
    clock.reschedule(None)
    try:
        yield
    finally:
        clock.reschedule(until + now() - began)


@contextlib.contextmanager
def _only_bridge_errors(name: str) -> Iterator[None]:
    """Turn what is neither for the script nor for the run into `Internal`, without its text."""
    try:
        yield
    except (BridgeError, BudgetExceeded, StopAsyncIteration):
        raise
    except Exception as error:
        message = f"{name}: the bridge failed ({type(error).__name__}); the run goes on"
        raise BridgeError("Internal", message) from error


def _encode(name: str, value: Any) -> bytes:
    """A method's result as msgpack. Structs become maps; what is no `ScriptValue` is refused."""
    try:
        return pack(msgspec.to_builtins(value, builtin_types=(bytes,)))
    except (ValueRejected, TypeError, ValueError) as error:
        message = f"{name}: the answer cannot be handed to a script: {error}"
        raise BridgeError("Conversion", message) from error


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        message = f"{name}: the answer is larger than max_response, {limit} bytes"
        raise BridgeError("Limit", message)


def _declared(bridge: type[Bridge]) -> list[Callable[..., Any]]:
    """The functions marked `@method`, those of base classes included, sorted by name."""
    found = (getattr(bridge, name) for name in sorted(dir(bridge)) if not name.startswith("_"))
    return [f for f in found if hasattr(f, _MARK)]


class BridgeRegistry:
    """The bridges of one supervisor. Close it after the last run, or use it in `async with`."""

    def __init__(self, bridges: typing.Iterable[Bridge] = ()) -> None:
        self._bridges: dict[str, Bridge] = {}
        self._methods: dict[str, BoundMethod] = {}
        for bridge in bridges:
            self.add(bridge)

    def add(self, bridge: Bridge) -> None:
        """Register a bridge. Raises `ValueError` for a name that is taken or not legal."""
        name = bridge.name
        # The wire allows 64 characters for `bridge.method`.
        if not (name.isascii() and name.isidentifier() and name.islower()):
            raise ValueError(f"'{name}' is not a legal name for a bridge")
        if name in self._bridges:
            raise ValueError(f"there is a bridge '{name}' already")
        self._bridges[name] = bridge
        for function in _declared(type(bridge)):
            bound = BoundMethod(bridge, function)
            self._methods[bound.name] = bound

    async def remove(self, name: str) -> None:
        """Forget a bridge and close it: later runs do not find it, and its name is free.

        Calls that are under way lose what it holds open. Raises `LookupError` for a name that there
        is not.
        """
        if name not in self._bridges:
            raise LookupError(f"there is no bridge '{name}'")
        bridge = self._bridges.pop(name)
        for function in _declared(type(bridge)):
            del self._methods[f"{name}.{function.__name__}"]
        await bridge.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bridges, sorted."""
        return tuple(sorted(self._bridges))

    @property
    def methods(self) -> tuple[BoundMethod, ...]:
        """Every method, sorted by name."""
        return tuple(self._methods[name] for name in sorted(self._methods))

    def get(self, name: str) -> BoundMethod | None:
        """The method called `bridge.method` exactly, or none."""
        return self._methods.get(name)

    def manifest(self, names: typing.Iterable[str]) -> dict[str, dict[str, MethodKind]]:
        """What a script finds bound when it may call `names`: bridges and methods; see `_grants`."""
        grants = tuple(names)
        granted: dict[str, dict[str, MethodKind]] = {}
        for bound in self.methods:
            if is_granted(bound.name, grants):
                bridge, _, short = bound.name.partition(".")
                granted.setdefault(bridge, {})[short] = bound.kind
        return granted

    def prefetch(self, names: typing.Iterable[str]) -> None:
        """Let the bridges `names` begin their slow start in the background."""
        for name in set(names) & set(self._bridges):
            self._bridges[name].prefetch()

    async def close(self) -> None:
        """Close every bridge, also when one of them fails to."""
        results = await asyncio.gather(
            *(bridge.close() for bridge in self._bridges.values()), return_exceptions=True
        )
        failures = [r for r in results if isinstance(r, Exception)]
        if failures:
            raise ExceptionGroup("bridges that did not close", failures)

    async def __aenter__(self) -> typing.Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
