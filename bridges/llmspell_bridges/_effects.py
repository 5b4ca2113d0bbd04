"""What methods do to the world, and what a dry run answers in place of those that do something."""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

Effect = Literal["read", "write", "send", "spend", "varies", "unknown"]
"""`read` changes nothing and costs nothing; `write` changes files or stores of this machine; `send`
reaches others; `spend` costs money or tokens. A method that `varies` is called in a dry run, too, and
itself lists (`CallContext.plan`) what it then does not do. What is not declared is `unknown`."""

PERFORMED: Final = ("read", "varies")
"""Effects of methods that a dry run calls."""
MAX_SHOWN: Final = 40
"""Characters of a text that the description of a call shows: enough to know it by."""
MAX_DESCRIPTION: Final = 300
_CONFIDENTIAL: Final = r"(?i)key|secret|token$|password|passwd|auth|credential|cookie"
"""Names of arguments whose value no description shows."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """An effect that a dry run did not have."""

    method: str
    effect: Effect
    description: str
    """The call as a person reads it, shortened and without what looks like a secret."""


def zero(hint: Any) -> Any:
    """A value of a type that says nothing, as msgpack can hold it.

    An empty text, 0, false, an empty list, a map with all of its keys; null where the type allows
    it or tells nothing.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return zero(args[0])
    if origin in (typing.Union, types.UnionType):
        arms = [arm for arm in args if arm is not msgspec.UnsetType]
        return None if types.NoneType in arms else zero(arms[0])
    if origin is Literal:
        return args[0]
    kind = origin or hint
    if not isinstance(kind, type):
        return None
    if issubclass(kind, msgspec.Struct):
        return _zero_struct(kind)
    if issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    for plain, value in _PLAIN.items():
        if issubclass(kind, plain):
            return value
    return None


_PLAIN: Final[dict[type, Any]] = {
    bool: False,
    int: 0,
    float: 0.0,
    str: "",
    bytes: b"",
    list: [],
    tuple: [],
    dict: {},
}


def _zero_struct(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Every key that is always there."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = msgspec.structs.fields(kind)
    return {f.encode_name: zero(hints[f.name]) for f in fields if f.default is not msgspec.UNSET}


def describe_call(
    method: str, names: Iterable[str], values: Iterable[Any], hidden: Iterable[str]
) -> str:
    """`fs.write(path: "out/a.txt", text: "It was a..." (1204 characters))`.

    `hidden` are texts that are taken out wherever they stand.
    """
    pairs = zip(names, values, strict=False)
    inside = ", ".join(f"{name}: {_shown(name, value, hidden)}" for name, value in pairs)
    text = f"{method}({inside})"
    return text if len(text) <= MAX_DESCRIPTION else text[: MAX_DESCRIPTION - 4] + "...)"


def _shown(name: str, value: Any, hidden: Iterable[str], *, inner: bool = False) -> str:
    if value is not None and re.search(_CONFIDENTIAL, name):
        return "***"
    if isinstance(value, str):
        return _text(value, hidden)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping) and not inner:
        pairs = ((k, v) for k, v in sorted(value.items()) if v not in (None, [], {}, ""))
        inside = ", ".join(f"{k}: {_shown(k, v, hidden, inner=True)}" for k, v in pairs)
        return "{" + inside + "}"
    if isinstance(value, list | Mapping):
        return f"{'list' if isinstance(value, list) else 'map'} of {len(value)}"
    return msgspec.json.encode(value).decode()


def _text(value: str, hidden: Iterable[str]) -> str:
    shown = value
    for secret in hidden:
        shown = shown.replace(secret, "***")
    cut = shown[:MAX_SHOWN]
    quoted = msgspec.json.encode(cut.encode("utf-8", "replace").decode()).decode()
    return quoted if cut == shown else f"{quoted}... ({len(value)} characters)"
