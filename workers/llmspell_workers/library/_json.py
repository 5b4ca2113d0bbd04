"""`json`: text that is the same whichever engine wrote it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from llmspell_protocol import INT_MAX, INT_MIN, MAX_DEPTH, ErrorInfo

from ._errors import HostError

if TYPE_CHECKING:
    from llmspell_protocol import ScriptValue

_BYTE: Final = re.compile(r" ?\(byte (?P<offset>\d+)\)")
_PLACE: Final = re.compile(r" ?\(byte \d+\)| - at `.*`")

_EXACT: Final = 1 << 53
"""Up to here every integral float is exactly one integer (IEEE 754 binary64)."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


class EncodeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of `json.encode`."""

    pretty: Annotated[bool, msgspec.Meta(description="one element a line")] = False
    indent: Annotated[int, msgspec.Meta(ge=0, le=8, description="spaces a level when pretty")] = 2


def encode(value: Any, options: EncodeOptions | None = None) -> str:
    """A value as JSON text: keys sorted, integral numbers without a fraction."""
    data = _encode_sorted(_writable(value, "$"))
    if options is not None and options.pretty:
        data = msgspec.json.format(data, indent=options.indent)
    return data.decode()


def decode(text: str) -> Any:
    """The value of JSON text. Errors name the line and the column."""
    data = text.encode()
    try:
        value = _decode(data)
    except msgspec.DecodeError as error:
        raise _malformed(data, str(error)) from None
    except RecursionError:
        raise _refused(f"the text nests deeper than {MAX_DEPTH} levels") from None
    _check(value, 0)
    return value


def _writable(value: Any, path: str) -> Any:
    """The value with integral floats as integers, so that 1.0 and 1 give the same text."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    if isinstance(value, list):
        return [_writable(v, f"{path}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, dict):
        return {k: _writable(v, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, bytes):
        raise _refused(f"JSON cannot hold binary data at {path}; see util.base64_encode")
    return value


def _check(value: ScriptValue, depth: int) -> None:
    """JSON text can say more than a value can hold."""
    if isinstance(value, list | dict):
        if depth == MAX_DEPTH:
            raise _refused(f"the text nests deeper than {MAX_DEPTH} levels")
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth + 1)
    elif (isinstance(value, int) and not INT_MIN <= value <= INT_MAX) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise _refused("the text holds a number out of range")


def _malformed(data: bytes, text: str) -> HostError:
    """msgspec's message with its byte offset as line and column, both from 1."""
    found = _BYTE.search(text)
    offset = len(data) if found is None else int(found["offset"])
    if "trailing characters" in text:
        offset -= 1  # told after the first of them was read
    line = data.count(b"\n", 0, offset) + 1
    start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[start:offset].decode("utf-8", "ignore")) + 1
    what = _PLACE.sub("", text).removeprefix("JSON is malformed: ").lower()
    what = "the text ends too early" if "truncated" in what else what
    return _refused(f"not valid JSON, line {line} column {column}: {what}")


def _refused(message: str) -> HostError:
    return HostError(ErrorInfo("Serialization", message))


FUNCTIONS: Final = (encode, decode)
