"""A bridge that says back what it heard: both conversions of an engine in one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, End, method
from llmspell_protocol import ErrorKind

ALL_FIELDS = BridgeError(
    "RateLimit", "not so fast", retryable=True, retry_after=1.5, field="speed", duration=2.5
)

GIFTS: dict[str, Any] = {
    "null": None,
    "true": True,
    "integer": 42,
    "integral float": 3.0,
    "fraction": 0.1,
    "large float": 1e300,
    "safe": 2**53 - 1,
    "unsafe": 2**53 + 1,
    "i64 max": 2**63 - 1,
    "i64 min": -(2**63),
    "text": "Grüße, 🌍",
    "nul": "\0a\0",
    "bytes": b"\x00\xff\x80",
    "text bytes": b"abc",
    "list": [1, "two", None, [False]],
    "map": {"a": 1, "b c": {"d": None}},
    "empty list": [],
    "empty map": {},
    "prototype": {"__proto__": 1, "constructor": "x", "__index": 2},
}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `configure` takes."""

    level: Annotated[int, msgspec.Meta(ge=0, le=9)]
    mode: Literal["fast", "slow"] = "fast"
    tags: dict[str, str] = {}


class EchoBridge(Bridge):
    """Says back what it heard."""

    name: ClassVar[str] = "echo"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self._waiting: dict[str, tuple[list[CallContext], asyncio.Event]] = {}  # by run

    @method
    async def say(self, ctx: CallContext, value: Any) -> Any:
        """The same value."""
        return value

    @method
    async def describe(self, ctx: CallContext, value: Any) -> str:
        """The value as Python writes it: tells an integer from a float, text from bytes."""
        return repr(value)

    @method
    async def give(self, ctx: CallContext, what: str) -> Any:
        """One of the host's own values."""
        return GIFTS[what]

    @method
    async def join_two(
        self, ctx: CallContext, first: str, second: str = "?", third: int = 3
    ) -> str:
        """Arguments of which the last two may be left out."""
        return f"{first}-{second}-{third}"

    @method
    async def configure(self, ctx: CallContext, options: Options) -> Options:
        """Options with a range, a choice and a map."""
        return options

    @method
    async def fail(self, ctx: CallContext, kind: ErrorKind, message: str) -> None:
        """Raise an error of some kind."""
        raise BridgeError(kind, message)

    @method
    async def fail_fully(self, ctx: CallContext) -> None:
        """Raise an error that has every field."""
        raise ALL_FIELDS

    @method
    async def crash(self, ctx: CallContext) -> None:
        """A bug of the bridge, whose text is nobody's business."""
        raise RuntimeError("a secret of the host")

    @method
    async def text(self, ctx: CallContext, size: int) -> str:
        """So many characters."""
        return "x" * size

    @method
    async def hang(self, ctx: CallContext) -> None:
        """No answer, ever."""
        await asyncio.Event().wait()

    @method
    async def meet(self, ctx: CallContext, people: int) -> int:
        """Returns when so many calls are open at once: only concurrent callers ever meet."""
        here, met = self._waiting.setdefault(ctx.run_id, ([], asyncio.Event()))
        here.append(ctx)
        if len(here) == people:
            del self._waiting[ctx.run_id]
            met.set()
        await met.wait()
        return people

    @method
    async def count(self, ctx: CallContext, to: int) -> AsyncIterator[int | End[str]]:
        """The numbers from 1, then a word."""
        for number in range(1, to + 1):
            yield number
        yield End("done")

    @method
    async def count_badly(self, ctx: CallContext, to: int) -> AsyncIterator[int]:
        """The numbers from 1, then an error."""
        for number in range(1, to + 1):
            yield number
        raise BridgeError("Network", "the line went dead", retryable=True)

    @method
    async def recite(self, ctx: CallContext, values: list[Any]) -> AsyncIterator[Any]:
        """The values, one by one."""
        for value in values:
            yield value
