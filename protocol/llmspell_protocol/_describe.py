"""Types of Python functions in words that fit every script language."""

from __future__ import annotations

import enum
import types
import typing
from typing import Annotated, Any, Final, Literal

import msgspec

from ._handles import HANDLES

_NAMES: Final = {
    None: "null",
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    bytes: "bytes",
    list: "list",
    tuple: "list",
    dict: "map",
    **HANDLES,
}

_STREAMS: Final = ("AsyncIterator", "AsyncGenerator", "AsyncIterable")

_OPTIONS_DEPTH: Final = 4
"""Levels of nested options that are described: a type that holds itself would have no end."""


class Parameter(msgspec.Struct, frozen=True):
    """One parameter, or one option of a parameter that takes a map of options."""

    name: str
    type: str
    """In words that fit every script language: `string`, `list of number`, ..."""
    required: bool
    default: Any = None
    """What a parameter that is left out counts as; null where that has no value of its own."""
    doc: str = ""
    options: tuple[Parameter, ...] = ()
    """What the map holds, where the parameter takes one, or a list of them."""

    def render(self) -> str:
        """`name: type`, or `name?: type` where it may be left out."""
        return f"{self.name}{'' if self.required else '?'}: {self.type}"


def type_name(hint: Any) -> str:
    """A type in words that fit every script language; Python's names never show.

    Types without a word, `Any` among them, are `any value`. A `Struct` goes by its own name.
    """
    hint = bare(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return _union_name(args)
    if origin is None:
        return _plain_name(hint)
    if origin is Literal:
        return " or ".join(f'"{a}"' if isinstance(a, str) else str(a) for a in args)
    if origin in (list, tuple):
        return f"list of {_grouped(args[0])}"
    if origin is dict:
        return f"map of {_grouped(args[1])}" if bare(args[1]) is not Any else "map"
    if is_stream(hint):
        return f"stream of {_grouped(args[0])}"
    return _plain_name(origin)


def _plain_name(hint: Any) -> str:
    if hint in _NAMES:
        return _NAMES[hint]
    if not isinstance(hint, type):
        return "any value"
    if issubclass(hint, enum.Enum):
        return " or ".join(f'"{member.value}"' for member in hint)
    return hint.__name__ if issubclass(hint, msgspec.Struct) else "any value"


def _union_name(arms: tuple[Any, ...]) -> str:
    names = dict.fromkeys(type_name(a) for a in arms if a is not msgspec.UnsetType)
    if "number" in names:
        names.pop("integer", None)  # every integer is a number
    if len(names) > 1:
        names.pop("null", None)  # optional: said by the question mark
    return " or ".join(names)


def _grouped(hint: Any) -> str:
    name = type_name(hint)
    return f"({name})" if " or " in name else name


def bare(hint: Any) -> Any:
    """The type inside `Annotated`."""
    while typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return hint


def doc_of(hint: Any) -> str:
    """The description in `Annotated[T, msgspec.Meta(description=...)]`, or an empty text."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, msgspec.Meta) and extra.description:
            return extra.description
    return ""


def is_union(hint: Any) -> bool:
    """Whether `hint` is `A | B`."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def is_stream(hint: Any) -> bool:
    """Whether `hint` is what an async generator function returns."""
    return getattr(typing.get_origin(hint), "__name__", "") in _STREAMS


def arms_of(hint: Any) -> list[Any]:
    """The arms of a union, bare; any other type is its own only arm."""
    hint = bare(hint)
    return [bare(a) for a in typing.get_args(hint)] if is_union(hint) else [hint]


def struct_in(hint: Any) -> type[msgspec.Struct] | None:
    """The `Struct` of options among the arms of `hint`."""
    for arm in arms_of(hint):
        if isinstance(arm, type) and issubclass(arm, msgspec.Struct) and arm not in HANDLES:
            return arm
    return None


def field_hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of `struct`, by their names on the wire, to their types with annotations."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return {f.encode_name: hints[f.name] for f in msgspec.structs.fields(struct)}


def parameter(name: str, hint: Any, *, required: bool, default: Any, level: int = 1) -> Parameter:
    """Describe one parameter or option."""
    struct = _struct_below(hint)
    options: tuple[Parameter, ...] = ()
    if struct is not None and level < _OPTIONS_DEPTH:
        hints = field_hints(struct)
        options = tuple(
            _option(f, hints[f.encode_name], level + 1) for f in msgspec.structs.fields(struct)
        )
    return Parameter(name, type_name(hint), required, default, doc_of(hint), options)


def _option(field: msgspec.structs.FieldInfo, hint: Any, level: int) -> Parameter:
    default = None if isinstance(field.default, msgspec.UnsetType) else field.default
    if default is msgspec.NODEFAULT:
        factory = field.default_factory
        default = None if factory is msgspec.NODEFAULT else factory()
    return parameter(field.encode_name, hint, required=field.required, default=default, level=level)


def _struct_below(hint: Any) -> type[msgspec.Struct] | None:
    """The `Struct` that a parameter takes, be it one or a list of them."""
    if struct := struct_in(hint):
        return struct
    for arm in arms_of(hint):
        args = typing.get_args(arm)
        if typing.get_origin(arm) in (list, tuple) and args:
            return struct_in(args[0])
    return None
