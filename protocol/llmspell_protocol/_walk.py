"""Bounds untrusted msgpack before anything decodes it, and converts between bytes and values.

`check` goes over every byte that a worker sends without recursion and without building values; only
then is the text in it checked, by decoding what is by now bounded. What passes is one `ScriptValue`
and no more. Only the host checks what it receives: it takes several times as long as decoding does,
and a worker has nothing to fear from its host.

The depth of a value is the number of lists and maps around it: in `[[], {"a": 1}]` the two
containers are at depth 1 and the number at 2. Items count every value, containers and map keys
included.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from ._errors import ValueRejected
from ._values import INT_MAX, INT_MIN, MAX_DEPTH, MAX_ITEMS, ScriptValue

# What the first byte of a value says. A positive number is the size of a value that needs no more
# looking at; the rest is looked up by these marks.
_OTHER, _LONG, _ARRAY, _MAP = 0, -1, -2, -3


def _sizes() -> tuple[int, ...]:
    table = [_OTHER] * 256  # floats, uint64, the unused 0xc1, extensions
    table[0x00:0x80] = [1] * 0x80  # positive fixint
    table[0x80:0x90] = [1] + [_MAP] * 0x0F  # an empty one holds nothing to look at
    table[0x90:0xA0] = [1] + [_ARRAY] * 0x0F
    table[0xA0:0xC0] = range(1, 0x21)  # short strings
    table[0xE0:0x100] = [1] * 0x20  # negative fixint
    table[0xC0] = table[0xC2] = table[0xC3] = 1  # nil, false, true
    table[0xC4:0xC7] = [_LONG] * 3  # bytes
    table[0xCC:0xCF] = [2, 3, 5]  # unsigned
    table[0xD0:0xD4] = [2, 3, 5, 9]  # signed
    table[0xD9:0xDC] = [_LONG] * 3  # strings
    table[0xDC:0xDE] = [_ARRAY] * 2
    table[0xDE:0xE0] = [_MAP] * 2
    return tuple(table)


_SIZES: Final = _sizes()

_LENGTH_BYTES: Final = {
    **dict.fromkeys((0xC4, 0xD9), 1),
    **dict.fromkeys((0xC5, 0xDA, 0xDC, 0xDE), 2),
    **dict.fromkeys((0xC6, 0xDB, 0xDD, 0xDF), 4),
}
"""Bytes of the length that follows a first byte which does not hold the length itself."""

_FIXSTR: Final = 0xA0
_FIXSTR_END: Final = 0xC0
_STR8: Final = 0xD9
_STR32: Final = 0xDB
_FLOAT32: Final = 0xCA
_FLOAT64: Final = 0xCB
_UINT64: Final = 0xCF

_decode: Final = msgspec.msgpack.Decoder().decode

_PLAIN: Final = frozenset([type(None), bool, str, bytes])
_FLOATS: Final = frozenset([float])

_NAME_MAX: Final = 40
"""Characters of a key or a type name in an error."""


def check(
    data: bytes | memoryview | msgspec.Raw,
    *,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
) -> None:
    """Refuse everything that is not exactly one `ScriptValue` as msgpack.

    Raises `ValueRejected` with the rule and the byte where it was broken.
    """
    unpack(data, max_depth=max_depth, max_items=max_items)


def unpack(
    data: bytes | memoryview | msgspec.Raw,
    *,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
) -> ScriptValue:
    """The value in `data`. Raises `ValueRejected` as `check` does."""
    body = data if isinstance(data, bytes) else bytes(data)
    try:
        end = _walk(body, max_depth, max_items)
    except IndexError:
        raise ValueRejected(f"msgpack that is cut off after {len(body)} bytes") from None
    if end > len(body):
        raise ValueRejected(f"msgpack that is cut off after {len(body)} bytes; {end} announced")
    if end < len(body):
        raise ValueRejected(f"{len(body) - end} bytes after the end of the value")
    # The last rule is the decoder's: it checks text as UTF-8 at several times the speed, and what
    # it builds is bounded by now.
    try:
        value: ScriptValue = _decode(body)
    except UnicodeDecodeError as error:
        raise ValueRejected(f"a string that is not valid UTF-8 ({error.reason})") from None
    return value


# One loop on purpose: a function call for each element would double what every frame costs.
def _walk(data: bytes, max_depth: int, max_items: int) -> int:  # noqa: C901, PLR0912, PLR0915
    """Where the value ends, which may be past the end of `data`."""
    sizes = _SIZES
    pos, items = 0, 1
    left = 1  # values due in the innermost container
    keys: set[bytes] | None = None  # the keys so far, where that is a map
    outer: list[tuple[int, set[bytes] | None]] = []
    while True:
        while left:
            left -= 1
            byte = data[pos]
            if keys is not None:
                if _FIXSTR <= byte < _FIXSTR_END:
                    start, pos = pos + 1, pos + byte - 0x9F
                elif _STR8 <= byte <= _STR32:
                    start, pos = _span(data, pos)
                else:
                    raise ValueRejected(f"a map key that is not a string, at byte {pos}")
                key = data[start:pos]
                if key in keys:
                    raise ValueRejected(f"a map that has a key twice, at byte {start}")
                keys.add(key)
                byte = data[pos]
            size = sizes[byte]
            if size > 0:
                pos += size
            elif size <= _ARRAY:
                outer.append((left, keys))
                if len(outer) > max_depth:  # its elements would be
                    raise ValueRejected(f"nesting over {max_depth} deep, at byte {pos}")
                if byte < _FIXSTR:
                    left, pos = byte & 0x0F, pos + 1
                else:
                    start, stop = _span(data, pos)
                    left, pos = stop - start, start
                if size == _ARRAY:
                    keys, due = None, left
                else:
                    keys, due = set(), 2 * left
                items += due
                if items > max_items or due > len(data) - pos:
                    raise _too_many(items, max_items, due, len(data) - pos)
            elif byte == _FLOAT64:
                # All ones in the exponent is an infinity or NaN, whatever the sign.
                if data[pos + 1] & 0x7F == 0x7F and data[pos + 2] >= 0xF0:
                    raise ValueRejected(f"a number that is not finite, at byte {pos}")
                pos += 9
            elif size == _LONG:
                pos = _span(data, pos)[1]
            else:
                pos = _rare(data, pos)
        if not outer:
            return pos
        left, keys = outer.pop()


def _span(data: bytes, pos: int) -> tuple[int, int]:
    """Start and end of the contents of the long string, or the bytes, at `pos`."""
    start = pos + 1 + _LENGTH_BYTES[data[pos]]
    return start, start + int.from_bytes(data[pos + 1 : start], "big")


def _rare(data: bytes, pos: int) -> int:
    """The end of a value that a worker of ours never sends, if it is one at all."""
    byte = data[pos]
    if byte == _FLOAT32:
        if data[pos + 1] & 0x7F == 0x7F and data[pos + 2] >= 0x80:
            raise ValueRejected(f"a number that is not finite, at byte {pos}")
        return pos + 5
    if byte == _UINT64:
        if data[pos + 1] > 0x7F:
            raise ValueRejected(f"an integer above {INT_MAX}, at byte {pos}")
        return pos + 9
    raise ValueRejected(f"a type that no value has (0x{byte:02x}), at byte {pos}")


def _too_many(items: int, max_items: int, due: int, rest: int) -> ValueRejected:
    if due > rest:
        return ValueRejected(f"{due} elements announced where {rest} bytes are left")
    return ValueRejected(f"{items} elements or more; the cap is {max_items}")


# --- values in Python ---------------------------------------------------------------------------

_encode: Final = msgspec.msgpack.Encoder().encode


def pack(value: ScriptValue, *, max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS) -> bytes:
    """`value` as msgpack.

    Raises `ValueRejected`, with the path, for what is not a `ScriptValue`: another type (tuples
    and subclasses included), NaN and infinities, integers beyond 64 bits, lone surrogates, keys
    that are not strings, cycles and nesting over `max_depth`, more than `max_items` elements.
    """
    budget = _Budget(max_depth, max_items)
    budget.visit(value, 1)
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise ValueRejected(f"a string that is not valid Unicode ({error.reason})") from None


class _Budget:
    """Visits a value in Python. What it does not look at, the encoder refuses."""

    __slots__ = ("_items", "_max_depth", "_max_items")

    def __init__(self, max_depth: int, max_items: int) -> None:
        self._items = 1
        self._max_depth = max_depth
        self._max_items = max_items

    def visit(self, value: Any, depth: int) -> None:
        """Check `value`, whose elements would be at `depth`."""
        kind = type(value)
        if kind in _PLAIN:
            return
        if kind is float:
            if not math.isfinite(value):
                raise ValueRejected(f"a number that is not finite ({value})")
        elif kind is int:
            if not INT_MIN <= value <= INT_MAX:
                raise ValueRejected("an integer beyond 64 bits")
        elif kind is list:
            self._enter(len(value), depth)
            self._list(value, depth + 1)
        elif kind is dict:
            self._enter(2 * len(value), depth)
            self._map(value, depth + 1)
        else:
            raise ValueRejected(f"a {kind.__name__[:_NAME_MAX]}, which no script has a value for")

    def _enter(self, elements: int, depth: int) -> None:
        if elements and depth > self._max_depth:
            raise ValueRejected(f"nesting over {self._max_depth}, or a value that holds itself")
        self._items += elements
        if self._items > self._max_items:
            raise ValueRejected(f"{self._items} elements or more; the cap is {self._max_items}")

    def _list(self, values: list[Any], depth: int) -> None:
        if set(map(type, values)) <= _FLOATS and all(map(math.isfinite, values)):
            return  # embeddings: a hundred thousand numbers
        for index, value in enumerate(values):
            try:
                self.visit(value, depth)
            except ValueRejected as error:
                raise _inside(f"[{index}]", error) from None

    def _map(self, values: dict[Any, Any], depth: int) -> None:
        for key, value in values.items():
            if type(key) is not str:
                name = type(key).__name__[:_NAME_MAX]
                raise ValueRejected(f"a map key that is not a string ({name})")
            try:
                self.visit(value, depth)
            except ValueRejected as error:
                raise _inside(f".{ascii(key[:_NAME_MAX])[1:-1]}", error) from None


def _inside(step: str, error: ValueRejected) -> ValueRejected:
    """The same error, seen from the container around it."""
    return ValueRejected(error.reason, f"${step}{error.path[1:]}")
