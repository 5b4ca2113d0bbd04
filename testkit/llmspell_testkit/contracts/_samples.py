"""Values that a declared type takes, and values that it does not: derived from the annotation."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from llmspell_protocol import ObjectHandle, Parameter, ScriptFunction, arms_of, type_name
from llmspell_protocol._handles import HANDLES

_OF_EACH_KIND: Final[dict[str, Any]] = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "number": 1.5,
    "string": "\x00 no such word",
    "bytes": b"\xff",
    "list": [None],
    "map": {"no such option": 1},
}
"""A value of each kind that can cross. None of them is mended: the list is not empty, which would be a
map, and the number is not integral, which would be an integer."""

_SAMPLES: Final[tuple[Any, ...]] = (
    1, 0, 0.5, "a", "a/b", "https://a.example", "2026-01-01T00:00:00Z", True, [], ["a"], {}, b"a", None,
)  # fmt: skip


class NoSample(Exception):
    """No value is known that a type takes: a test has to give one."""


def kinds_of(hint: Any) -> set[str]:
    """The kinds of value that a type takes; all of them where it takes any."""
    kinds: set[str] = set()
    for arm in arms_of(hint):
        kinds |= _kinds_of_arm(arm)
    return {kind for each in kinds for kind in (each, "integer" if each == "number" else each)}


def _kinds_of_arm(arm: Any) -> set[str]:
    if arm is msgspec.UnsetType:
        return set()
    if typing.get_origin(arm) is Literal:
        return set()  # none of ours is one of its values
    if isinstance(arm, type) and issubclass(arm, msgspec.Struct):
        return set() if arm in HANDLES else {"map"}  # an option that there is not is another matter
    kind = type_name(arm).partition(" of ")[0]
    return {kind} if kind in _OF_EACH_KIND else set(_OF_EACH_KIND)


def wrong_values(hint: Any) -> Iterator[Any]:
    """A value of each kind that a type does not take; nothing where it takes any."""
    taken = kinds_of(hint)
    for kind, value in _OF_EACH_KIND.items():
        if kind not in taken and not (kind == "string" and _takes_text(hint)):
            yield value


def _takes_text(hint: Any) -> bool:
    """Text is what Lua makes of bytes that are text: whether it fits, the value tells."""
    return "bytes" in kinds_of(hint)


def sample(hint: Any) -> Any:
    """A value that a type takes, as it comes from a worker. Raises `NoSample`."""
    for arm in arms_of(hint):
        if arm in (ScriptFunction, ObjectHandle):
            return msgspec.to_builtins(arm(1))
        if typing.get_origin(arm) is Literal:
            return typing.get_args(arm)[0]
        if isinstance(arm, type) and issubclass(arm, msgspec.Struct):
            return _sample_of_struct(arm)
        if typing.get_origin(arm) is list:
            return [sample(typing.get_args(arm)[0])]
    for value in _SAMPLES:
        if _takes(hint, value):
            return value
    raise NoSample(type_name(hint))


def _takes(hint: Any, value: Any) -> bool:
    try:
        msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=hint)
    except (msgspec.ValidationError, ValueError):
        return False
    return True


def _sample_of_struct(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Its required options, and its tag where it has one."""
    hints = typing.get_type_hints(struct, include_extras=True)
    made = {
        field.encode_name: sample(hints[field.name])
        for field in msgspec.structs.fields(struct)
        if field.required
    }
    config = struct.__struct_config__
    return {config.tag_field: config.tag, **made} if config.tag_field else made


def options_of(parameter: Parameter, hint: Any) -> type[msgspec.Struct] | None:
    """The `Struct` of a parameter's options; none where it takes several kinds of map, or no map."""
    found = [a for a in arms_of(hint) if isinstance(a, type) and issubclass(a, msgspec.Struct)]
    if len(found) != 1 or found[0] in (ScriptFunction, ObjectHandle) or not parameter.options:
        return None
    return found[0]
