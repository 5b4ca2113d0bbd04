"""The name of the scripted model: one for each test to the server, the same for all to their spells."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec

from llmspell_bridges import BoundMethod, BridgeError, CallContext, Stream
from llmspell_protocol import pack

from ..recording._trace import ServedStream
from ._overlay import Stood

PROVIDER: Final = "scripted"
"""The provider that the model server is to spells under test."""
MODEL: Final = "model"
"""What tests and their spells read as the model's name, with `PROVIDER` before it in errors."""


def queue_name(number: int) -> str:
    """What the server calls the model of the test `number`."""
    return f"{MODEL}-{number:08d}"


class Named(Stood):
    """A method in whose answers and errors the model has the name that is the same for all."""

    def __init__(self, method: BoundMethod, queue: str) -> None:
        super().__init__(method)
        self._queue = queue

    async def call(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        """The answer, or the error, of the method."""
        try:
            return self._bytes(await self.method.call(ctx, args))
        except BridgeError as error:
            raise self._error(error) from None

    def stream(self, ctx: CallContext, args: bytes | msgspec.Raw) -> Stream:
        """The stream of the method."""
        inner = self.method.stream(ctx, args)

        async def follow(outer: ServedStream) -> AsyncGenerator[bytes, None]:
            try:
                async for chunk in inner:
                    yield self._bytes(chunk)
            except BridgeError as error:
                raise self._error(error) from None
            outer.closing = self._bytes(inner.closing)

        return ServedStream(self.name, ctx, follow, inner)

    def _bytes(self, data: bytes) -> bytes:
        if self._queue.encode() not in data:
            return data
        return pack(self.value(msgspec.msgpack.decode(data)))

    def value(self, value: Any) -> Any:
        """A value with the common name."""
        if isinstance(value, str):
            return value.replace(self._queue, MODEL)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return value

    def _error(self, error: BridgeError) -> BridgeError:
        error.message = error.message.replace(self._queue, MODEL)
        return error
