"""From a typed Python function to a method that scripts can call.

One declaration, the function itself, gives the binding's name, the validation of arguments, the
documentation and `info`. Both sides use it: bridges on the host, the library inside a worker.

Arguments arrive as a msgpack array, one element per parameter; trailing optional ones may be left
out. A parameter typed with a `msgspec.Struct` takes a map of options, unknown names refused. An
empty list counts as an empty map wherever a map is due: Lua cannot tell the two apart. Likewise an
integral float counts as an integer: Lua's divisions give floats, and JavaScript has no other type.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from ._describe import (
    Parameter,
    arms_of,
    bare,
    field_hints,
    parameter,
    struct_in,
    type_name,
)
from ._errors import ArgumentError
from ._handles import HANDLES

# As text: only errors need them, and compiling them takes longer than the rest of this module.
_PATH: Final = r" - at `\$(?P<path>[^`]*)`$"
_STEP: Final = r"\[(?P<index>\d+|\.\.\.)\]|\.(?P<name>[^.\[]+)"
_UNKNOWN: Final = r"(?s)^Object contains unknown field `(?P<name>.*)`$"
_MISSING: Final = r"^Object missing required field `(?P<name>[^`]*)`$"
_MENDABLE: Final = r"got `(array|float)`"
_TYPES: Final = r"`([a-zA-Z |]+)`"
_BAD_CHOICE: Final = r"^Invalid (?:enum )?value "
_CAPITAL: Final = r"(?<=[a-z0-9])(?=[A-Z])"

_WORDS: Final = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "object": "map",
    "array": "list",
    "None": "null",
}
"""msgspec's words for types, which are Python's, to those of script languages."""

_SOME: Final = "[...]"
"""msgspec's step into a map, which does not tell the key."""

_NEAR: Final = 0.6
"""How alike two names must be for a hint, as difflib measures it; its own default."""

_EXACT: Final = 1 << 53
"""Below it each integral float is exactly one integer (IEEE 754 binary64)."""

_TEXT_MAX: Final = 200
"""Characters of the script's own text that an error repeats."""


class Signature:
    """What a method takes and returns, and the decoder that enforces it.

    `function` is read once: its parameters (after those named in `skip`), annotations, defaults
    and docstring. Raises `TypeError` unless all parameters are positional and annotated.
    """

    __slots__ = ("_decoder", "_hints", "doc", "name", "parameters", "result", "result_type")

    def __init__(self, function: Callable[..., Any], *, skip: tuple[str, ...] = ("self",)) -> None:
        names, defaults = _positional(function, skip)
        hints = _hints(function, [*names, "return"])
        self.name: str = function.__name__
        self.doc: str = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        self.parameters: tuple[Parameter, ...] = tuple(
            parameter(n, hints[n], required=n not in defaults, default=defaults.get(n))
            for n in names
        )
        self.result_type: Any = bare(hints["return"])
        self.result: str = type_name(self.result_type)
        self._hints = [hints[n] for n in names]
        self._decoder = msgspec.msgpack.Decoder(_shape(self.name, names, hints, defaults))

    def decode(self, args: bytes | msgspec.Raw) -> list[Any]:
        """Arguments as Python values, in order. Raises `ArgumentError` that names the field."""
        try:
            return self._decode(args)
        except msgspec.ValidationError as error:
            if not re.search(_MENDABLE, str(error)):
                self._explain(str(error))
        # Seldom: a list or a float where something else was due, and may stand for it.
        values = msgspec.msgpack.decode(args)
        mended = [_mend(h, v) for h, v in zip(self._hints, values, strict=False)]
        try:
            return self._decode(msgspec.msgpack.encode(mended + values[len(mended) :]))
        except msgspec.ValidationError as error:
            self._explain(str(error))

    def _decode(self, args: bytes | msgspec.Raw) -> list[Any]:
        try:
            return list(msgspec.structs.astuple(self._decoder.decode(args)))
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, RecursionError) as error:
            raise ArgumentError(f"arguments are not valid msgpack: {error}") from None

    def render(self) -> str:
        """The call as documentation shows it: `complete(request) -> map`."""
        inside = ", ".join(p.render() for p in self.parameters)
        return f"{self.name}({inside}) -> {self.result}"

    def _explain(self, text: str) -> NoReturn:
        """Raise msgspec's finding in the words of scripts."""
        found = re.search(_PATH, text)
        steps = list(re.finditer(_STEP, found["path"])) if found else []
        index = int(steps[0]["index"]) if steps else len(self._hints)
        if index >= len(self._hints):  # the list of arguments itself
            raise ArgumentError(f"takes {self._arity()}: {self.render()}")
        text = re.sub(_PATH, "", text)
        inner = [s["name"] or s[0] for s in steps[1:]]
        if inner and inner[-1].startswith("@"):  # inside of what only looks like a handle
            inner.pop()
        hint = _at(self._hints[index], inner)
        if any(arm in HANDLES for arm in arms_of(hint)):
            field = self._field(index, inner)
            raise ArgumentError(f"must be {_article(type_name(hint))}", field)
        if unknown := re.match(_UNKNOWN, text):
            name = unknown["name"][:_TEXT_MAX]
            raise ArgumentError(_unknown(name, hint), self._field(index, [*inner, name]))
        if missing := re.match(_MISSING, text):
            name = missing["name"]
            field = self._field(index, [*inner, name])
            raise ArgumentError(f"required option '{name}' is missing", field)
        if re.match(_BAD_CHOICE, text):
            owner = _at(self._hints[index], inner[:-1])
            text = f"must be {_choices(hint, owner)}, not {re.sub(_BAD_CHOICE, '', text)}"
        raise ArgumentError(_plain(text), self._field(index, inner))

    def _arity(self) -> str:
        least, most = sum(p.required for p in self.parameters), len(self.parameters)
        count = str(most) if least == most else f"{least} to {most}"
        return f"{count} argument{'' if most == 1 else 's'}" if most else "no arguments"

    def _field(self, index: int, inner: list[str]) -> str:
        """An option is named as the script wrote it, without the parameter in front of it."""
        top = "" if inner and struct_in(self._hints[index]) else self.parameters[index].name
        return _join(top, *inner)


def result_of(function: Callable[..., Any]) -> Any:
    """The type that `function` returns, without the cost of a `Signature`."""
    return bare(_hints(function, ["return"])["return"])


def _positional(
    function: Callable[..., Any], skip: tuple[str, ...]
) -> tuple[list[str], dict[str, Any]]:
    """Names of the parameters, and the defaults of those that have one."""
    code: types.CodeType = function.__code__
    if code.co_kwonlyargcount or code.co_flags & 0x0C:  # CO_VARARGS, CO_VARKEYWORDS of inspect
        raise TypeError(f"{function.__qualname__}: only positional parameters can be bound")
    names = list(code.co_varnames[: code.co_argcount])
    values = function.__defaults__ or ()
    defaults = dict(zip(names[len(names) - len(values) :], values, strict=True))
    names = [n for n in names if n not in skip]
    return names, {n: v for n, v in defaults.items() if n in names}


def _hints(function: Callable[..., Any], names: list[str]) -> dict[str, Any]:
    """Annotations of `names` only: a skipped parameter's may not be importable at run time."""
    given = function.__annotations__
    if missing := [n for n in names if n not in given]:
        raise TypeError(f"{function.__qualname__}: no annotation for {', '.join(missing)}")
    wanted = types.SimpleNamespace(__annotations__={n: given[n] for n in names})
    return typing.get_type_hints(wanted, function.__globals__, include_extras=True)


def _shape(
    name: str, names: list[str], hints: dict[str, Any], defaults: dict[str, Any]
) -> type[msgspec.Struct]:
    fields: list[Any] = [
        (n, hints[n], defaults[n]) if n in defaults else (n, hints[n]) for n in names
    ]
    return msgspec.defstruct(
        f"{name}_arguments", fields, array_like=True, forbid_unknown_fields=True
    )


def _mend(hint: Any, value: Any) -> Any:
    """`value` with what `hint` wants: a map for an empty list, an integer for an integral float."""
    arms = arms_of(hint)
    origins = {typing.get_origin(a) or a: typing.get_args(a) for a in arms}
    struct = struct_in(hint)
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _EXACT
        return int(value) if whole and int in origins and float not in origins else value
    if isinstance(value, list):
        inner = origins.get(list) or origins.get(tuple)
        if inner:
            return [_mend(inner[0], v) for v in value]
        return {} if not value and list not in origins and (struct or dict in origins) else value
    if isinstance(value, dict):
        if struct:
            fields = field_hints(struct)
            return {k: _mend(fields.get(k, Any), v) for k, v in value.items()}
        if args := origins.get(dict):
            return {k: _mend(args[1], v) for k, v in value.items()}
    return value


def _at(hint: Any, steps: list[str]) -> Any:
    """The type at the end of a path such as `messages`, `[0]`, `role`; `Any` where unknown."""
    for step in steps:
        struct = struct_in(hint)
        if struct is not None:
            hint = field_hints(struct).get(step, Any)
        else:  # the elements of a list, or the values of a map
            arms = [a for a in arms_of(hint) if typing.get_origin(a) in (list, tuple, dict)]
            inner = typing.get_args(arms[0]) if arms else (Any,)
            hint = inner[-1 if step == _SOME else 0]
    return hint


def _join(*steps: str) -> str:
    """Steps as a script would write them: `messages[0].role`."""
    path = "".join(s if s.startswith("[") else f".{s}" for s in steps if s and s != _SOME)
    return path.removeprefix(".")


def _unknown(name: str, hint: Any) -> str:
    """What to say of an option that is not there, with the one that was probably meant."""
    import difflib

    struct = struct_in(hint)
    names = list(field_hints(struct)) if struct else []
    snake = re.sub(_CAPITAL, "_", name).lower()
    near = difflib.get_close_matches(snake, names, 1, _NEAR)
    return f"unknown option '{name}'" + (f"; did you mean '{near[0]}'?" if near else "")


def _choices(hint: Any, owner: Any) -> str:
    """The values that are allowed where another one was found."""
    tags = [a.__struct_config__.tag for a in arms_of(owner) if hasattr(a, "__struct_config__")]
    if hint is Any and any(tags):  # the tag that tells the arms of a union apart
        return " or ".join(f'"{t}"' for t in tags)
    return type_name(hint)


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _plain(text: str) -> str:
    """msgspec's message in the words of script languages."""

    def words(found: re.Match[str]) -> str:
        names = dict.fromkeys(_WORDS.get(n, n) for n in found[1].split(" | "))
        if len(names) > 1:
            names.pop("null", None)
        return " or ".join(names)

    text = re.sub(_TYPES, words, text)
    return text[:1].lower() + text[1 : _TEXT_MAX * 2]
