"""What a server sends, decompressed no further than there is room for."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from .._errors import BridgeError

ACCEPTED: Final = "gzip, deflate"
"""Encodings that the standard library undoes piece by piece, so that a bomb is met early."""
MAX_RATIO: Final = 200
"""Bytes out for one in. Text is compressed to a tenth, repetitive data to a hundredth; a bomb to a
thousandth."""
FREE: Final = 1 << 20
"""Bytes out that the ratio does not look at: small answers of one repeated letter are harmless."""
_PIECE: Final = 64 * 1024
_WINDOWS: Final = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}
_BARE: Final = -zlib.MAX_WBITS
"""Deflate without its envelope, which some servers send by that name."""


async def decoded(raw: AsyncIterator[bytes], encoding: str, limit: int) -> AsyncIterator[bytes]:
    """The body, piece by piece. Raises `BridgeError`: `Limit`, or `Serialization`."""
    decoder = _decoder(encoding)
    came = given = 0
    async for data in raw:
        came += len(data)
        if came > limit + _PIECE:  # compressed data that brings nothing
            raise _too_large(limit)
        for piece in decoder.feed(data):
            given += len(piece)
            if given > limit:
                raise _too_large(limit)
            if given > FREE and given > came * MAX_RATIO:
                message = f"the body is compressed to less than one part in {MAX_RATIO}"
                raise BridgeError("Limit", message)
            yield piece
    if came and not decoder.complete:
        raise BridgeError("Serialization", "the compressed body ends in its middle", retryable=True)


class _Plain:
    complete = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Inflate:
    """Undoes gzip, also several in a row, or deflate."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._engine = zlib.decompressobj(window)
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether the data so far ends where it may."""
        return self._engine.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` brings, in pieces that are made when they are asked for."""
        while data:
            if self._engine.eof:
                self._engine = zlib.decompressobj(self._window)
            try:
                piece = self._engine.decompress(data, _PIECE)
            except zlib.error:
                if self._begun or self._window != zlib.MAX_WBITS:
                    raise BridgeError(
                        "Serialization", "the body is not compressed as it says"
                    ) from None
                self._window = _BARE
                self._engine = zlib.decompressobj(_BARE)
                piece = self._engine.decompress(data, _PIECE)
            self._begun = True
            if piece:
                yield piece
            data = self._engine.unconsumed_tail or self._engine.unused_data


def _too_large(limit: int) -> BridgeError:
    return BridgeError("Limit", f"the body is larger than max_response, {limit} bytes")


def _decoder(encoding: str) -> _Plain | _Inflate:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in _WINDOWS:
        return _Inflate(_WINDOWS[name])
    message = "the body is encoded in a way that was not asked for"
    raise BridgeError("Serialization", message)
