"""From a typed Python function to a method that scripts can call.

One declaration, the function itself, gives the binding's name, the validation of arguments, the
documentation and `info`. Both sides use it: bridges on the host, the library inside a worker.

Arguments arrive as a msgpack array, one element per parameter; trailing optional ones may be left
out. A parameter typed with a `msgspec.Struct` takes a map of options, unknown names refused.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from ._errors import ArgumentError

_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")

_NAMES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    Any: "any value",
}


class Parameter(msgspec.Struct, frozen=True):
    """One parameter, or one option of a parameter that takes a map of options."""

    name: str
    type: str
    """In words that fit every script language: `string`, `list of number`, ..."""
    required: bool
    default: Any = None
    doc: str = ""
    options: tuple[Parameter, ...] = ()


class Signature:
    """What a method takes and returns, and the decoder that enforces it.

    `function` is read once: its parameters (after those named in `skip`), annotations, defaults
    and docstring. Only positional parameters are allowed, each annotated.
    """

    __slots__ = ("_decoder", "_fields", "doc", "name", "parameters", "result", "result_type")

    def __init__(self, function: Callable[..., Any], *, skip: tuple[str, ...] = ("self",)) -> None:
        hints = typing.get_type_hints(function, include_extras=True)  # limits of values
        code = function.__code__
        names = [n for n in code.co_varnames[: code.co_argcount] if n not in skip]
        defaults = function.__defaults__ or ()
        given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
        fields: list[Any] = [
            (n, hints[n], given[n]) if n in given else (n, hints[n]) for n in names
        ]
        shape = msgspec.defstruct(
            f"{function.__name__}_arguments", fields, array_like=True, forbid_unknown_fields=True
        )
        self.name: str = function.__name__
        self.doc: str = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        self.parameters: tuple[Parameter, ...] = tuple(
            _parameter(n, hints[n], n not in given, given.get(n)) for n in names
        )
        self.result_type: Any = hints.get("return", Any)
        self.result: str = type_name(self.result_type)
        self._fields = names
        self._decoder = msgspec.msgpack.Decoder(shape)

    def decode(self, args: bytes | msgspec.Raw) -> list[Any]:
        """Arguments as Python values, in order. Raises `ArgumentError` that names the field."""
        try:
            decoded = self._decoder.decode(args)
        except msgspec.ValidationError as error:
            raise self._explain(str(error)) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise ArgumentError(f"arguments are not valid msgpack: {error}") from None
        return [getattr(decoded, name) for name in self._fields]

    def _explain(self, text: str) -> ArgumentError:
        found = _PATH.search(text)
        text = _PATH.sub("", text)
        if found is None:  # the array itself: too few or too many
            need = sum(p.required for p in self.parameters)
            takes = f"{need}" if need == len(self._fields) else f"{need} to {len(self._fields)}"
            return ArgumentError(f"takes {takes} argument(s): {self.render()}")
        path = found["path"]
        index, _, rest = path.removeprefix("[").partition("]")
        if not index.isdigit() or int(index) >= len(self._fields):
            return ArgumentError(f"takes at most {len(self._fields)} argument(s): {self.render()}")
        top = self.parameters[int(index)]
        # An option is named as the script wrote it, without the parameter in front of it.
        field = rest.removeprefix(".") if top.options and rest else top.name + rest
        if unknown := _UNKNOWN.search(text):
            name = unknown["name"]
            near = difflib.get_close_matches(name, [o.name for o in top.options], 1, 0.6)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            field = f"{field}.{name}" if rest else name
            return ArgumentError(f"unknown option '{name}'{hint}", field)
        return ArgumentError(_plain(text), field)

    def render(self, rename: Callable[[str], str] = str) -> str:
        """The call as documentation shows it: `complete(request) -> map`."""
        inside = ", ".join(
            f"{p.name}: {p.type}" if p.required else f"{p.name}?: {p.type}" for p in self.parameters
        )
        return f"{rename(self.name)}({inside}) -> {self.result}"


def _plain(text: str) -> str:
    """msgspec's message in the words of script languages: its type names are Python's."""
    swap = {"`str`": "string", "`int`": "integer", "`float`": "number", "`bool`": "boolean",
            "`object`": "map", "`array`": "list", "`null`": "null", "`bytes`": "bytes"}  # fmt: skip
    for python, plain in swap.items():
        text = text.replace(python, plain)
    text = text[0].lower() + text[1:] if text else text
    return text.replace("object missing required field", "missing required option")


def _parameter(name: str, hint: Any, required: bool, default: Any) -> Parameter:
    struct = _struct_in(hint)
    options: tuple[Parameter, ...] = ()
    if struct is not None:
        inner = typing.get_type_hints(struct)
        options = tuple(
            _option(f, inner[f.name], doc)
            for f, doc in zip(msgspec.structs.fields(struct), _field_docs(struct), strict=True)
        )
    return Parameter(name, type_name(hint), required, default, options=options)


def _option(field: msgspec.structs.FieldInfo, hint: Any, doc: str) -> Parameter:
    default = None if field.default is msgspec.NODEFAULT else field.default
    if default is msgspec.UNSET:
        default = None
    return Parameter(field.encode_name, type_name(hint), field.required, default, doc)


def _field_docs(struct: type[msgspec.Struct]) -> list[str]:
    """Docs of fields: `Annotated[T, msgspec.Meta(description=...)]`."""
    hints = typing.get_type_hints(struct, include_extras=True)
    docs = []
    for field in msgspec.structs.fields(struct):
        metas = getattr(hints[field.name], "__metadata__", ())
        docs.append(next((m.description for m in metas if getattr(m, "description", None)), ""))
    return docs


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    for arm in typing.get_args(hint) if _is_union(hint) else (hint,):
        if isinstance(arm, type) and issubclass(arm, msgspec.Struct):
            return arm
    return None


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def type_name(hint: Any) -> str:
    """A type in words that fit every script language; Python's names never show."""
    if hint in _NAMES:
        return _NAMES[hint]
    if hint is msgspec.UnsetType:
        return ""
    if hint is msgspec.Raw:
        return "any value"
    if _is_union(hint):
        names = dict.fromkeys(type_name(arm) for arm in typing.get_args(hint))
        return " or ".join(n for n in names if n and n != "null") or "null"
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return type_name(args[0])
    if origin is Literal:
        return " or ".join(f'"{a}"' for a in args)
    if origin in (list, tuple):
        return f"list of {type_name(args[0])}"
    if origin is dict:
        return f"map of {type_name(args[1])}" if args[1] is not Any else "map"
    if origin is not None and origin.__name__ in ("AsyncIterator", "AsyncGenerator"):
        return f"stream of {type_name(args[0])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    return "any value"
