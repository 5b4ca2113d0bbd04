"""What the maps that a method answers with hold, from the types of its result."""

from __future__ import annotations

import typing
from typing import Any

import msgspec

from llmspell_protocol import type_name


class ResultField(msgspec.Struct, frozen=True):
    """One key of a map that a method answers with."""

    name: str
    type: str
    """In words that fit every script language."""
    always: bool
    """Whether the key is always there; otherwise only where it has something to say."""


def result_maps(hint: Any) -> dict[str, tuple[ResultField, ...]]:
    """Each kind of map in a result of type `hint`, by name, outermost first, and its keys."""
    found: dict[str, tuple[ResultField, ...]] = {}
    waiting = _structs(hint)
    while waiting:
        struct = waiting.pop(0)
        if struct.__name__ in found:
            continue
        hints = typing.get_type_hints(struct)
        fields = msgspec.structs.fields(struct)
        found[struct.__name__] = tuple(
            ResultField(f.encode_name, type_name(hints[f.name]), f.default is not msgspec.UNSET)
            for f in fields
        )
        waiting += [inner for f in fields for inner in _structs(hints[f.name])]
    return found


def _structs(hint: Any) -> list[type[msgspec.Struct]]:
    """The structs that a type names: itself, or inside lists, maps, unions, streams and ends."""
    origin = typing.get_origin(hint)
    if origin is not None:
        return [struct for arm in typing.get_args(hint) for struct in _structs(arm)]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint is not msgspec.Struct:
        return [hint]
    return []
