"""Methods that a test answers in their bridge's place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, cast, get_args

import msgspec

from llmspell_bridges import BoundMethod, BridgeError, CallContext, Stream
from llmspell_protocol import ErrorKind, pack

from ..recording._trace import ServedStream
from ._overlay import Stood

_KINDS: Final = get_args(ErrorKind)
_FAULT: Final = "@fault"


class Fake(Stood):
    """Gives each of `values` in turn, and then the last one again."""

    def __init__(self, method: BoundMethod, values: Sequence[Any]) -> None:
        super().__init__(method)
        self._values = tuple(values) or (None,)
        self._next = 0

    async def call(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        """The next value, or the error that it stands for; arguments are checked as ever."""
        return self._give(ctx, args)

    def stream(self, ctx: CallContext, args: bytes | msgspec.Raw) -> Stream:
        """The next value, a list of chunks."""
        chunks = msgspec.msgpack.decode(self._give(ctx, args))

        async def give(_: ServedStream) -> AsyncGenerator[bytes, None]:
            for chunk in chunks if isinstance(chunks, list) else [chunks]:
                yield pack(chunk)

        return ServedStream(self.name, ctx, give)

    def _give(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        self._decode(ctx, args)
        value = self._values[min(self._next, len(self._values) - 1)]
        self._next += 1
        if isinstance(value, dict) and _FAULT in value:
            raise fault(value[_FAULT])
        return pack(value)


def fault(given: Any) -> BridgeError:
    """The error that `{kind, message}` stands for."""
    fields = given if isinstance(given, dict) else {}
    kind, message = fields.get("kind"), str(fields.get("message", ""))
    if kind not in _KINDS:
        known = ", ".join(_KINDS)
        return BridgeError("Validation", f"fault: '{kind}' is no kind of error; known: {known}")
    retryable = bool(fields.get("retryable", False))
    return BridgeError(cast("ErrorKind", kind), message, retryable=retryable)
