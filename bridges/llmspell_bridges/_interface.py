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
A method that waits for nothing may be a plain function, which is quicker: no task is made for it.

A parameter or an option typed `ScriptFunction` takes a function, which `ctx.invoke` calls; one typed
`ObjectHandle` takes an object, which `ctx.object` finds. A method that returns a `BridgeObject` gives
the script an object, and one that returns a `TextAnswer` gives it text with fields.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec

from llmspell_protocol import (
    NULL,
    ArgumentError,
    Binding,
    Signature,
    ValueRejected,
    arms_of,
    pack,
    result_of,
    takes_functions,
    type_name,
)

from ._clock import within
from ._effects import PERFORMED, Effect, Planned, describe_call, zero
from ._errors import BridgeError, BudgetExceeded
from ._grants import is_granted
from ._objects import BridgeObject, TextAnswer

if typing.TYPE_CHECKING:
    from llmspell_protocol import MethodKind, Parameter

    from ._context import CallContext

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__llmspell_method__"
# As in `inspect`, without importing it.
_CO_GENERATOR: Final = 0x20
_CO_COROUTINE: Final = 0x80
_CO_ASYNC_GENERATOR: Final = 0x200
_OVER: Final[Any] = object()  # no stream yields this
_raws: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_TEXT: Final = "text"
_TEXTS: Final = "texts"


class BridgeConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of a bridge's section in the config file. Each field has a default."""

    def part(self, parts: int) -> typing.Self:  # noqa: ARG002 - of those that have such limits
        """What one of `parts` processes may have of it: limits of all runs together are divided."""
        return self


class Bridge:
    """A host service for scripts: a subclass with a `name` and methods marked `@method`."""

    name: ClassVar[str]
    """How scripts call it: lower-case letters, digits and `_`."""
    config: ClassVar[type[BridgeConfig]] = BridgeConfig
    """The type of its section in the config file. The constructor takes one instance."""
    objects: ClassVar[tuple[type[BridgeObject], ...]] = ()
    """The kinds of object that its methods may return."""

    def __init__(self, config: BridgeConfig) -> None:
        """Keep what the operator configured. Must not block, import or open anything heavy."""

    def join(self, registry: BridgeRegistry) -> None:
        """Told once which registry it is in: for a bridge that works through another one."""

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


def effect_of(function: Callable[..., Any]) -> Effect:
    """What a function that is marked `@method` does to the world."""
    effect: Effect = getattr(function, _MARK)
    return effect


class MethodInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One method as `info` shows it."""

    name: str
    """`bridge.method`, in snake_case; `bridge.object.method` for one of its objects."""
    kind: MethodKind
    doc: str
    parameters: tuple[Parameter, ...]
    result: str
    closing: str = ""
    """What a stream ends with; empty when it is null."""
    effect: Effect = "unknown"


class BoundMethod:
    """One method of one bridge, or of its objects of one kind: the only way in which the supervisor calls it.

    Raises `BridgeError` for whatever the script may handle, bad arguments and bugs of the bridge
    included, and lets `BudgetExceeded` and cancellation through.
    """

    def __init__(
        self,
        bridge: Bridge,
        function: Callable[..., Any],
        objects: type[BridgeObject] | None = None,
    ) -> None:
        owner = f"{bridge.name}.{objects.name}" if objects else bridge.name
        self.name: str = f"{owner}.{function.__name__}"
        flags = function.__code__.co_flags
        if flags & _CO_GENERATOR:
            raise TypeError(f"{self.name} is a generator: a stream is an async generator")
        self.kind: MethodKind = "stream" if flags & _CO_ASYNC_GENERATOR else "call"
        self.waits = bool(flags & (_CO_COROUTINE | _CO_ASYNC_GENERATOR))
        """Whether it may wait for something: it is no plain function."""
        self.effect: Effect = effect_of(function)
        self._bridge = bridge
        self._objects = objects
        self._function = function

    @functools.cached_property
    def signature(self) -> Signature:
        """Parameters and result. Built when first needed: a run pays for what it calls."""
        return Signature(self._function, skip=("self", "ctx"))

    @functools.cached_property
    def binding(self) -> Binding:
        """What a worker is told of it."""
        given = self._gives(self._value_type())
        return Binding(self.kind, takes_functions(self._function), given)

    def _value_type(self) -> Any:
        """What a call returns or a stream ends with."""
        result = result_of(self._function)
        if self.kind == "call":
            return result
        ends = [a for a in arms_of(typing.get_args(result)[0]) if typing.get_origin(a) is End]
        return typing.get_args(ends[0])[0] if ends else None

    def _gives(self, hint: Any) -> str:
        for arm in arms_of(hint):
            if isinstance(arm, type) and issubclass(arm, TextAnswer):
                return _TEXT
            if isinstance(arm, type) and arm in self._bridge.objects:
                return arm.name
            if typing.get_origin(arm) is list and self._gives(typing.get_args(arm)[0]) == _TEXT:
                return _TEXTS
        return ""

    def describe(self) -> MethodInfo:
        """What `info` and the documentation show."""
        signature = self.signature
        result, closing = signature.result, ""
        if self.kind == "stream":
            chunks, ends = self._arms()
            result = " or ".join(type_name(a) for a in chunks)
            closing = " or ".join(type_name(a) for a in ends)
        elif self.binding.gives not in ("", _TEXT, _TEXTS):
            result = self.binding.gives
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
        self, ctx: CallContext, args: bytes | msgspec.Raw, hidden: typing.Iterable[str]
    ) -> tuple[Planned, bytes]:
        """What calling it would do, and what a script is answered in its place; see `_effects`.

        Arguments are checked as for a call. Of a stream, the answer is its closing value.
        """
        self._decode(ctx, args)
        values = msgspec.msgpack.decode(args)  # as they were given, without defaults
        if self._objects is not None:
            values = values[1:]
        names = (p.name for p in self.signature.parameters)
        text = describe_call(self.name, names, values, hidden)
        hint = self.signature.result_type
        if self.kind == "stream":
            ends = self._arms()[1]
            hint = ends[0] if ends else None
        answer = _encode(self.name, zero(hint))
        return Planned(method=self.name, effect=self.effect, description=text), answer

    async def call(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        """Call it. Takes and returns msgpack: an array of arguments, one value."""
        owner, values = self._decode(ctx, args)
        with _only_bridge_errors(self.name):
            value = self._function(owner, ctx, *values)
            if self.waits:
                value = await within(ctx.call_timeout(), self.name, value)
            if isinstance(value, BridgeObject):
                value = ctx.keep(value)
            data = _encode(self.name, value)
        _check_size(self.name, len(data), ctx.policy.max_response)
        return data

    def stream(self, ctx: CallContext, args: bytes | msgspec.Raw) -> Stream:
        """Open a stream. Raises `BridgeError` at once if the arguments do not fit."""
        owner, values = self._decode(ctx, args)
        return Stream(self.name, ctx, self._function(owner, ctx, *values))

    def _decode(
        self, ctx: CallContext, args: bytes | msgspec.Raw
    ) -> tuple[Bridge | BridgeObject, list[Any]]:
        """What the method is of, and its arguments."""
        owner: Bridge | BridgeObject = self._bridge
        if self._objects is not None:
            owner, args = self._take_object(ctx, self._objects, args)
        try:
            return owner, self.signature.decode(args)
        except ArgumentError as error:
            message = f"{self.name}: {error}"
            raise BridgeError("Validation", message, field=error.field) from None

    def _take_object(
        self, ctx: CallContext, kind: type[BridgeObject], args: bytes | msgspec.Raw
    ) -> tuple[BridgeObject, bytes]:
        """The object whose number stands in front of the arguments, and the rest of them."""
        try:
            number, *rest = _raws.decode(args)
            handle = msgspec.msgpack.decode(number, type=int)
        except (ValueError, msgspec.DecodeError):
            message = f"{self.name}: must be called on an object of kind '{kind.name}'"
            raise BridgeError("Validation", message) from None
        return ctx.run.find(handle, kind, self.name), msgspec.msgpack.encode(rest)


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
            item = await within(self._ctx.call_timeout(), self._name, work)
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


def _declared(owner: type[Bridge | BridgeObject]) -> list[Callable[..., Any]]:
    """The functions marked `@method`, those of base classes included, sorted by name."""
    found = (getattr(owner, name) for name in sorted(dir(owner)) if not name.startswith("_"))
    return [f for f in found if hasattr(f, _MARK)]


def _bound(bridge: Bridge) -> typing.Iterator[BoundMethod]:
    """The methods of a bridge and of its objects."""
    for function in _declared(type(bridge)):
        yield BoundMethod(bridge, function)
    for kind in bridge.objects:
        for function in _declared(kind):
            yield BoundMethod(bridge, function, kind)


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
        for bound in _bound(bridge):
            self._methods[bound.name] = bound
        bridge.join(self)

    async def remove(self, name: str) -> None:
        """Forget a bridge and close it: later runs do not find it, and its name is free.

        Calls that are under way lose what it holds open. Raises `LookupError` for a name that there
        is not.
        """
        if name not in self._bridges:
            raise LookupError(f"there is no bridge '{name}'")
        bridge = self._bridges.pop(name)
        for bound in _bound(bridge):
            del self._methods[bound.name]
        await bridge.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bridges, sorted."""
        return tuple(sorted(self._bridges))

    def bridge(self, name: str) -> Bridge | None:
        """The bridge called `name`, or none."""
        return self._bridges.get(name)

    @property
    def methods(self) -> tuple[BoundMethod, ...]:
        """Every method, sorted by name."""
        return tuple(self._methods[name] for name in sorted(self._methods))

    def granted(self, names: typing.Iterable[str]) -> dict[str, Bridge]:
        """The bridges `names`, by name; others are skipped."""
        return {name: self._bridges[name] for name in names if name in self._bridges}

    def get(self, name: str) -> BoundMethod | None:
        """The method called `bridge.method` exactly, or none."""
        return self._methods.get(name)

    def manifest(self, names: typing.Iterable[str]) -> dict[str, dict[str, Binding]]:
        """What a script finds bound when it may call `names`: bridges and methods; see `_grants`."""
        grants = tuple(names)
        granted: dict[str, dict[str, Binding]] = {}
        for bound in self.methods:
            if is_granted(bound.name, grants):
                bridge, _, short = bound.name.partition(".")
                granted.setdefault(bridge, {})[short] = bound.binding
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
