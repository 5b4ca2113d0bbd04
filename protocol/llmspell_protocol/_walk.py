"""Bounds untrusted msgpack before anything decodes it, and converts between bytes and values.

`check` goes over every byte that a worker sends without recursion and without building values. What
passes is one `ScriptValue` and no more. Only the host checks what it receives: it takes several
times as long as decoding does, and a worker has nothing to fear from its host.

The depth of a value is the number of lists and maps around it: in `[[], {"a": 1}]` the two
containers are at depth 1 and the number at 2.

The weight of a value is what it costs to check, to decode and to hold, in units of one number: see
`MAX_WEIGHT`. A list or map of `n` is charged for all of them where its header announces them, so
that a lie costs nothing, and text for the rest of its weight where it stands.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from ._errors import ValueRejected
from ._values import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    MAX_HOST_WEIGHT,
    MAX_WEIGHT,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
    ScriptValue,
)

# What the first byte of a value says. A positive number is the size of a value that needs no more
# looking at; the rest is looked up by these marks, the frequent ones first.
_FLOAT, _UINT64, _TEXT, _LONG, _ARRAY, _MAP, _FOREIGN = 0, -1, -2, -3, -4, -5, -6

_SCALARS: Final = bytes([*range(0x80), 0xC0, 0xC2, 0xC3, *range(0xE0, 0x100)])
"""The values of one byte: integers from -32 to 127, null, false and true."""


def _marks() -> tuple[int, ...]:
    table = [_FOREIGN] * 256  # the unused 0xc1, extensions, float32
    for byte in _SCALARS:
        table[byte] = 1
    table[0x80:0x90] = [_MAP] * 0x10
    table[0x90:0xA0] = [_ARRAY] * 0x10
    table[0xA0:0xC0] = [_TEXT] * 0x20
    table[0xC4:0xC7] = [_LONG] * 3  # bytes
    table[_FLOAT64] = _FLOAT
    table[0xCC:0xD0] = [2, 3, 5, _UINT64]
    table[0xD0:0xD4] = [2, 3, 5, 9]  # signed
    table[0xD9:0xDC] = [_LONG] * 3  # strings
    table[0xDC:0xDE] = [_ARRAY] * 2
    table[0xDE:0xE0] = [_MAP] * 2
    return tuple(table)


_FIXSTR: Final = 0xA0
_FIXSTR_END: Final = 0xC0
_BIN8: Final = 0xC4
_STR8: Final = 0xD9
_STR32: Final = 0xDB
_FLOAT64: Final = 0xCB
_FLOAT64_HEAD: Final = b"\xcb"

_MARKS: Final = _marks()

_LENGTH_8: Final = b"\xc4\xd9"
_LENGTH_16: Final = b"\xc5\xda\xdc\xde"
"""First bytes with a length of 8 or 16 bits after them; for what else is long, it has 32."""

_SHORTEST: Final = {
    0xC4: 0,
    0xC5: 1 << 8,
    0xC6: 1 << 16,  # bytes
    0xD9: 32,
    0xDA: 1 << 8,
    0xDB: 1 << 16,  # strings
    0xDC: 16,
    0xDD: 1 << 16,
    0xDE: 16,
    0xDF: 1 << 16,
}
"""Of each such first byte the least length that needs it. A long way to say a short thing costs
several times as much to read as it weighs."""

_NUMBER: Final = (
    rb"[\x00-\x7f\xc0\xc2\xc3\xe0-\xff]|\xcb[^\x7f\xff].{7}|\xcf[\x00-\x7f].{7}"
    rb"|[\xcd\xd1]..|[\xce\xd2].{4}|\xd3.{8}|[\xcc\xd0]."
)
"""Numbers, null and booleans; of floats, those that are far from the greatest."""

_MANY: Final = 256
"""Elements that are looked at together at most, so that a run that soon ends costs little."""

_MORE: Final = 64
_SOME: Final = 8
_more_numbers: Final = re.compile(rb"(?s:(?:%b){%d}+)" % (_NUMBER, _MORE)).match
_some_numbers: Final = re.compile(rb"(?s:(?:%b){%d}+)" % (_NUMBER, _SOME)).match

_decode: Final = msgspec.msgpack.Decoder().decode

_FLOATS: Final = frozenset([float])

_NAME_MAX: Final = 40
"""Characters of a key or a type name in an error."""


def check(
    data: bytes | memoryview | msgspec.Raw,
    *,
    max_depth: int = MAX_DEPTH,
    max_weight: int = MAX_WEIGHT,
) -> None:
    """Refuse everything that is not exactly one `ScriptValue` as msgpack.

    Raises `ValueRejected` with the rule and the byte where it was broken.
    """
    body = data if isinstance(data, bytes) else bytes(data)
    try:
        end = _walk(body, max_depth, max_weight)
    except IndexError:
        raise ValueRejected(f"msgpack that is cut off after {len(body)} bytes") from None
    except UnicodeDecodeError as error:
        raise ValueRejected(f"a string that is not valid UTF-8 ({error.reason})") from None
    if end > len(body):
        raise ValueRejected(f"msgpack that is cut off after {len(body)} bytes; {end} announced")
    if end < len(body):
        raise ValueRejected(f"{len(body) - end} bytes after the end of the value")


def unpack(
    data: bytes | memoryview | msgspec.Raw,
    *,
    max_depth: int = MAX_DEPTH,
    max_weight: int = MAX_WEIGHT,
) -> ScriptValue:
    """The value in `data`. Raises `ValueRejected` as `check` does."""
    check(data, max_depth=max_depth, max_weight=max_weight)
    value: ScriptValue = _decode(data)
    return value


# One loop on purpose: a function call for each element would double what every frame costs.
def _walk(data: bytes, max_depth: int, max_weight: int) -> int:  # noqa: C901, PLR0912, PLR0915
    """Where the value ends, which may be past the end of `data`."""
    marks = _MARKS
    pos, weight = 0, 1
    left = 1  # values due in the innermost container
    keys: set[bytes] | None = None  # the keys so far, where that is a map
    outer: list[tuple[int, set[bytes] | None]] = []
    while True:
        if left >= _SOME and keys is None and marks[data[pos]] >= _UINT64:
            pos, left = _skip_numbers(data, pos, left)
        for due in range(left - 1, -1, -1):
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
                if not key.isascii():
                    key.decode()
                byte = data[pos]
            mark = marks[byte]
            if mark > 0:
                pos += mark
            elif mark == _FLOAT:
                # All ones in the exponent is an infinity or NaN, whatever the sign.
                if data[pos + 1] & 0x7F == 0x7F and data[pos + 2] >= 0xF0:
                    raise ValueRejected(f"a number that is not finite, at byte {pos}")
                pos += 9
            elif mark == _UINT64:
                if data[pos + 1] > 0x7F:
                    raise ValueRejected(f"an integer above {INT_MAX}, at byte {pos}")
                pos += 9
            elif mark >= _LONG:
                weight += WEIGHT_TEXT - 1
                if weight > max_weight:
                    raise _too_heavy(weight, max_weight)
                if mark == _TEXT:
                    start, pos = pos + 1, pos + byte - 0x9F
                elif byte == _STR8 and data[pos + 1] >= _SHORTEST[_STR8]:
                    start, pos = pos + 2, pos + 2 + data[pos + 1]
                else:
                    start, pos = _span(data, pos)
                if byte < _BIN8 or byte >= _STR8:
                    text = data[start:pos]
                    if not text.isascii():
                        text.decode()
            elif mark >= _MAP:
                if byte < _FIXSTR:
                    count, pos = byte & 0x0F, pos + 1
                else:
                    pos, end = _span(data, pos)
                    count = end - pos
                if mark == _ARRAY:
                    elements, weight = count, weight + count + WEIGHT_CONTAINER - 1
                else:
                    elements = 2 * count
                    weight += (WEIGHT_TEXT + 1) * count + WEIGHT_CONTAINER - 1
                if elements > len(data) - pos:
                    raise _a_lie(elements, len(data) - pos)
                if weight > max_weight:
                    raise _too_heavy(weight, max_weight)
                if not count:
                    continue
                outer.append((due, keys))
                if len(outer) > max_depth:  # its elements would be
                    raise ValueRejected(f"nesting over {max_depth} deep, at byte {pos}")
                left, keys = count, None if mark == _ARRAY else set()
                break
            else:
                raise ValueRejected(f"a type that no value has (0x{byte:02x}), at byte {pos}")
        else:
            if not outer:
                return pos
            left, keys = outer.pop()


def _skip_numbers(data: bytes, pos: int, left: int) -> tuple[int, int]:
    """Where the numbers end that the rest of a list begins with, and how many elements are left.

    The last few of them may be left. In C a number takes half of a step of the walk, and a hundredth
    in a run of floats, or of values of one byte: embeddings and flags.
    """
    while left >= _SOME:
        run, end = _uniform_run(data, pos, min(left, _MANY))
        if run < _SOME:
            run = _MORE
            found = _more_numbers(data, pos) if left >= _MORE else None
            if not found:
                run = _SOME
                found = _some_numbers(data, pos)
            if not found:
                break
            end = found.end()
        pos, left = end, left - run
    return pos, left


def _uniform_run(data: bytes, pos: int, count: int) -> tuple[int, int]:
    """How many of the next `count` elements are floats, or else of one byte, and where they end."""
    if data[pos] != _FLOAT64:
        rest = data[pos : pos + count].lstrip(_SCALARS)
        run = min(count, len(data) - pos) - len(rest)
        return run, pos + run
    heads = data[pos : pos + 9 * count : 9]
    run = len(heads) - len(heads.lstrip(_FLOAT64_HEAD))
    end = pos + 9 * run
    exponents = data[pos + 1 : end : 9]
    if end > len(data) or 0x7F in exponents or 0xFF in exponents:
        return 0, pos  # cut off, or among them may be one that is not finite
    return run, end


def _span(data: bytes, pos: int) -> tuple[int, int]:
    """Start and end of what the long string, the bytes or the container at `pos` hold."""
    byte = data[pos]
    if byte in _LENGTH_16:
        start, length = pos + 3, data[pos + 1] << 8 | data[pos + 2]
    elif byte in _LENGTH_8:
        start, length = pos + 2, data[pos + 1]
    else:
        start, length = pos + 5, data[pos + 1] << 24 | data[pos + 2] << 16 | data[pos + 3] << 8
        length |= data[pos + 4]
    if length < _SHORTEST[byte]:
        raise ValueRejected(f"a length of {length} in more bytes than it needs, at byte {pos}")
    return start, start + length


def _a_lie(elements: int, rest: int) -> ValueRejected:
    return ValueRejected(f"{elements} elements announced where {rest} bytes are left")


def _too_heavy(weight: int, max_weight: int) -> ValueRejected:
    return ValueRejected(f"a weight of {weight} or more; the cap is {max_weight}")


# --- values in Python ---------------------------------------------------------------------------

_encode: Final = msgspec.msgpack.Encoder().encode


def pack(
    value: ScriptValue, *, max_depth: int = MAX_DEPTH, max_weight: int = MAX_HOST_WEIGHT
) -> bytes:
    """`value` as msgpack.

    Raises `ValueRejected`, with the path, for what is not a `ScriptValue`: another type (tuples
    and subclasses included), NaN and infinities, integers beyond 64 bits, lone surrogates, keys
    that are not strings, cycles and nesting over `max_depth`, a weight over `max_weight`.
    """
    budget = _Budget(max_depth, max_weight)
    budget.visit(value, 1)
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise ValueRejected(f"a string that is not valid Unicode ({error.reason})") from None


class _Budget:
    """Visits a value in Python. What it does not look at, the encoder refuses."""

    __slots__ = ("_max_depth", "_max_weight", "_weight")

    def __init__(self, max_depth: int, max_weight: int) -> None:
        self._weight = 1
        self._max_depth = max_depth
        self._max_weight = max_weight

    def visit(self, value: Any, depth: int) -> None:
        """Check `value`, whose elements would be at `depth`."""
        kind = type(value)
        if value is None or kind is bool:
            return
        if kind is str or kind is bytes:
            self._charge(WEIGHT_TEXT - 1)
        elif kind is float:
            if not math.isfinite(value):
                raise ValueRejected(f"a number that is not finite ({value})")
        elif kind is int:
            if not INT_MIN <= value <= INT_MAX:
                raise ValueRejected("an integer beyond 64 bits")
        elif kind is list:
            self._enter(len(value), depth)
            self._list(value, depth + 1)
        elif kind is dict:
            self._enter((WEIGHT_TEXT + 1) * len(value), depth)
            self._map(value, depth + 1)
        else:
            raise ValueRejected(f"a {kind.__name__[:_NAME_MAX]}, which no script has a value for")

    def _enter(self, weight: int, depth: int) -> None:
        if weight and depth > self._max_depth:
            raise ValueRejected(f"nesting over {self._max_depth}, or a value that holds itself")
        self._charge(WEIGHT_CONTAINER - 1 + weight)

    def _charge(self, weight: int) -> None:
        self._weight += weight
        if self._weight > self._max_weight:
            raise _too_heavy(self._weight, self._max_weight)

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
