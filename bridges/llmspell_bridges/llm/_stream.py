"""One attempt at a streamed answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import UNSET
from msgspec.structs import replace

from .._errors import BridgeError
from .._secret import StreamMask, masked
from . import _response
from ._types import CompletionDelta, ToolCallDelta

if TYPE_CHECKING:
    from ._call import ModelCall
    from ._types import CompletionResponse

SPARE_PIECES: Final = 1024
"""Pieces of a stream beyond two for each token that it may have: role, end, usage, signs of life.
litellm keeps 3 KB for each until the end, so a server must not send them without end."""


class Answer:
    """An answer that is arriving. Read `deltas` to the end, then `finish`."""

    def __init__(self, call: ModelCall, number: int) -> None:
        """Reserve for the attempt. Raises `BudgetExceeded`."""
        self._call = call
        self._attempt = _response.Attempt(number, time.monotonic())
        self._held = call.book()
        self._raw: Any = None
        self._chunks: list[Any] = []
        self._most = SPARE_PIECES + 2 * call.bound.completion
        self._first: CompletionDelta | None = None
        self._hidden = call.route.hidden
        self._text = StreamMask(self._hidden)
        self._arguments: dict[int, StreamMask] = {}

    @classmethod
    async def open(cls, call: ModelCall, number: int) -> Self:
        """Ask, and wait for the first delta: until then another attempt may take over."""
        answer = cls(call, number)
        try:
            answer._raw = await call.within(call.litellm.acompletion(**call.arguments))
            answer._first = await answer._next()
        except BaseException as error:
            answer._held.failed(error)
            await answer._close()
            raise
        return answer

    async def deltas(self) -> AsyncGenerator[CompletionDelta, None]:
        """What arrives, as it arrives. Closing it early closes the connection."""
        try:
            delta = self._first
            while delta is not None:
                yield delta
                delta = await self._next()
        except BaseException as error:  # GeneratorExit too: the reader wants no more
            self._held.failed(error)
            raise
        finally:
            await self._close()

    async def finish(self) -> CompletionResponse:
        """The whole answer, and what it cost. Raises `BridgeError` if nothing came."""
        call = self._call
        with self._held as held:
            if not held.streamed and not any(_response.counted(c) for c in self._chunks):
                raise BridgeError("Serialization", f"{call.route.name}: the stream held nothing")
            # In a thread: where the provider does not count tokens, litellm loads a tokenizer.
            raw = await asyncio.to_thread(
                call.litellm.stream_chunk_builder,
                self._chunks,
                messages=call.arguments["messages"],
            )
            found = _response.completion(
                raw, call.route, call.litellm, self._attempt, as_data=call.as_data
            )
            held.used(found.usage.prompt_tokens, found.usage.completion_tokens, found.cost)
        return found

    async def _next(self) -> CompletionDelta | None:
        while True:
            raw = await self._call.within(anext(self._raw, None))
            if raw is None:
                return self._rest()
            self._chunks.append(raw)
            if len(self._chunks) > self._most:
                message = f"{self._call.route.name}: the stream goes on beyond max_tokens"
                raise BridgeError("Limit", message)
            delta = _response.delta(raw)
            if delta is not None and (delta := self._mask(delta)) is not None:
                self._held.streamed += _size(delta)
                return delta

    def _mask(self, delta: CompletionDelta) -> CompletionDelta | None:
        """What may be shown of a delta now; none if nothing."""
        last = delta.finish_reason is not UNSET
        text = self._text.feed("" if delta.content is UNSET else delta.content, last=last)
        pieces = [] if delta.tool_calls is UNSET else list(map(self._piece, delta.tool_calls))
        out = CompletionDelta(
            content=text or UNSET,
            tool_calls=pieces or UNSET,
            finish_reason=masked(delta.finish_reason, self._hidden),
        )
        return None if out == CompletionDelta() else out

    def _piece(self, piece: ToolCallDelta) -> ToolCallDelta:
        piece = masked(piece, self._hidden)
        if piece.arguments is UNSET:
            return piece
        mask = self._arguments.setdefault(piece.index, StreamMask(self._hidden))
        return replace(piece, arguments=mask.feed(piece.arguments) or UNSET)

    def _rest(self) -> CompletionDelta | None:
        """What was held back for want of an end; none if nothing."""
        text = self._text.feed("", last=True)
        pieces = [
            ToolCallDelta(index=index, arguments=rest)
            for index, mask in self._arguments.items()
            if (rest := mask.feed("", last=True))
        ]
        if not text and not pieces:
            return None
        return CompletionDelta(content=text or UNSET, tool_calls=pieces or UNSET)

    async def _close(self) -> None:
        if self._raw is not None:
            await self._raw.aclose()


def _size(delta: CompletionDelta) -> int:
    """Bytes of text in a delta."""
    texts = [] if delta.content is UNSET else [delta.content]
    for piece in [] if delta.tool_calls is UNSET else delta.tool_calls:
        texts += [t for t in (piece.name, piece.arguments) if t is not UNSET]
    return sum(len(text.encode()) for text in texts)
