"""Values as the text that crosses between Python and JavaScript, and as msgpack.

A payload is `1` or `0`, then JSON. `1` says that some strings start with NUL and a letter: what
JSON, or a JavaScript number, cannot say. `values.js` is the other end.

| mark | stands for |
|---|---|
| `s` | a string that starts with NUL itself |
| `b` | bytes, in base64 |
| `i` | an integer, in decimal: a BigInt in JavaScript |
| `f` | a float that JSON would show as an integer |
"""

from __future__ import annotations

import binascii
from typing import Any, Final

import msgspec

_SAFE: Final = (1 << 53) - 1
"""Integers up to this are one JavaScript number each (Number.MAX_SAFE_INTEGER)."""

_PLAIN: Final = frozenset([type(None), bool, float])

_to_json: Final = msgspec.json.Encoder().encode
_from_json: Final = msgspec.json.Decoder().decode
_to_msgpack: Final = msgspec.msgpack.Encoder().encode
_from_msgpack: Final = msgspec.msgpack.Decoder().decode


def to_msgpack(payload: str) -> bytes:
    """What JavaScript said, as msgpack."""
    data = payload.encode()  # a copy: the core's strings are windows into the engine's heap
    value = _from_json(memoryview(data)[1:])
    return _to_msgpack(_unmark(value) if data[:1] == b"1" else value)


def from_msgpack(data: bytes | msgspec.Raw) -> str:
    """A value of the host, for JavaScript."""
    value = _from_msgpack(data)
    if _is_plain(value):
        return "0" + _to_json(value).decode()
    return "1" + _to_json(_mark(value)).decode()


def _unmark(value: Any) -> Any:
    if isinstance(value, str):
        return _unmark_text(value) if value.startswith("\0") else value
    if isinstance(value, list):
        return [_unmark(item) for item in value]
    if isinstance(value, dict):
        return {key: _unmark(item) for key, item in value.items()}
    return value


def _unmark_text(text: str) -> str | bytes | int | float:
    rest = text[2:]
    match text[1]:
        case "b":
            return binascii.a2b_base64(rest)
        case "i":
            return int(rest)
        case "f":
            return float(rest)
        case _:
            return rest


def _is_plain(value: Any) -> bool:
    """JSON alone says it all."""
    if isinstance(value, list):
        # Embeddings: a hundred thousand numbers.
        return set(map(type, value)) <= _PLAIN or all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, str):
        return not value.startswith("\0")
    return not isinstance(value, bytes) and (type(value) is not int or -_SAFE <= value <= _SAFE)


def _mark(value: Any) -> Any:
    if isinstance(value, list):
        return [_mark(item) for item in value]
    if isinstance(value, dict):
        return {key: _mark(item) for key, item in value.items()}
    if isinstance(value, str):
        return f"\0s{value}" if value.startswith("\0") else value
    if isinstance(value, bytes):
        return "\0b" + binascii.b2a_base64(value, newline=False).decode()
    if type(value) is int and not -_SAFE <= value <= _SAFE:
        return f"\0i{value}"
    return value
