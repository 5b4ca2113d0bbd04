"""The parameters that a spell declares in its manifest: read from a person, checked, completed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from ._errors import UsageError
from ._text import escape_line, nearest, truncate

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
}
TYPES: Final = tuple(_TYPES)
"""What `type` of a parameter may be: the words that methods are described with, too."""
_ARTICLES: Final = {"integer": "an integer"}
_EXAMPLES: Final = {
    "string": "{}=TEXT",
    "integer": "{}=3",
    "number": "{}=0.5",
    "boolean": "{}=true",
    "list": "{}:=[1,2]",
    "map": '{}:={{"key":1}}',
}
_INTEGER: Final = r"[+-]?[0-9]{1,19}"


class SpellParameter(Struct, frozen=True, kw_only=True):
    """One parameter of a spell. Without a default, one that is not required may be absent."""

    name: str
    type: str
    """One of `TYPES`."""
    description: str = ""
    required: bool = False
    default: Any = None
    """None when there is none: a parameter that is null is one that is absent."""
    choices: tuple[Any, ...] = ()
    """The only values that it may have, if there are any."""

    def fits(self, value: Any) -> bool:
        """Whether `value` is of its type and among its choices."""
        if isinstance(value, bool) and self.type != "boolean":
            return False
        if not isinstance(value, _TYPES[self.type]):
            return False
        return not self.choices or any(value == c for c in self.choices)

    @property
    def due(self) -> str:
        """What it takes, for an error: `an integer`, `one of "a", "b"`."""
        if self.choices:
            return f"one of {', '.join(map(_json, self.choices))}"
        return _ARTICLES.get(self.type, f"a {self.type}")

    @property
    def example(self) -> str:
        """How to give it: `--param count=3`."""
        if self.choices and self.type == "string":
            return f"--param {self.name}={self.choices[0]}"
        return "--param " + _EXAMPLES[self.type].format(self.name)


Declared = Mapping[str, SpellParameter]


def read_text(declared: Declared, name: str, text: str) -> Any:
    """The value that `--param NAME=TEXT` means by its declared type. Raises `UsageError`."""
    parameter = _known(declared, name)
    value = _converted(parameter.type, text)
    if value is None or not parameter.fits(value):
        raise _misfit(parameter, text)
    return value


def complete(declared: Declared, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, checked, with the defaults of what is not in it. Raises `UsageError`."""
    params = {}
    for name, value in given.items():
        parameter = _known(declared, name)
        if parameter.type == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)  # noqa: PLW2901 - JSON has no other integers in some writers
        if not parameter.fits(value):
            raise _misfit(parameter, value)
        params[name] = value
    for name, parameter in declared.items():
        if name in params:
            continue
        if parameter.required:
            what = f": {parameter.description}" if parameter.description else ""
            raise UsageError(f"parameter '{name}' is required{what}", parameter.example)
        if parameter.default is not None:
            params[name] = parameter.default
    return params


def _known(declared: Declared, name: str) -> SpellParameter:
    if name in declared:
        return declared[name]
    shown = escape_line(truncate(name, 60))
    there = ", ".join(declared)
    raise UsageError(
        f"the spell has no parameter '{shown}'{nearest(shown, tuple(declared))}",
        f"it has: {there}" if there else "it takes none",
    )


def _misfit(parameter: SpellParameter, value: Any) -> UsageError:
    shown = truncate(escape_line(value if isinstance(value, str) else _json(value)), 60)
    return UsageError(
        f"parameter '{parameter.name}': '{shown}' is not {parameter.due}", parameter.example
    )


def _converted(kind: str, text: str) -> Any:
    """`text` as a value of a type; None when it is no such thing."""
    if kind == "string":
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text)
    if kind == "integer":
        return int(text) if re.fullmatch(_INTEGER, text) else None
    if kind == "number":
        return _number(text)
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _number(text: str) -> float | None:
    if re.fullmatch(_INTEGER, text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
