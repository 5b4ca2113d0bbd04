"""Conditions on metadata, as scripts write them."""

from __future__ import annotations

import difflib
import re
from typing import Any, Final, Literal, cast, get_args

from msgspec import Struct

from .._errors import BridgeError

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in"]
_OPERATORS: Final = get_args(Operator)
_ORDERED: Final = frozenset({"gt", "gte", "lt", "lte"})

_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""Keys of metadata that a filter can name: no path and no quotes of any store's language."""

MAX_CONDITIONS: Final = 32
"""Conditions of a filter: far more than people write, and a bound on the statement's size."""


class Condition(Struct, frozen=True):
    """What a key of the metadata has to be."""

    key: str
    operator: Operator
    value: Any
    """A text, a number or a boolean; a list of them for `in`."""


def conditions(filter_: dict[str, Any]) -> list[Condition]:
    """Read a filter. Raises `BridgeError` that names what is wrong with it."""
    found: list[Condition] = []
    for key, wanted in filter_.items():
        field = f"filter.{key}"
        if not _FIELD.fullmatch(key):
            message = "filter: keys are letters, digits and _, and 64 characters at most"
            raise BridgeError("Validation", message, field="filter")
        pairs = wanted if isinstance(wanted, dict) else {"eq": wanted}
        found += [Condition(key, *_checked(name, value, field)) for name, value in pairs.items()]
    if len(found) > MAX_CONDITIONS:
        message = f"filter: more than {MAX_CONDITIONS} conditions"
        raise BridgeError("Validation", message, field="filter")
    return found


def _checked(name: str, value: Any, field: str) -> tuple[Operator, Any]:
    if name not in _OPERATORS:
        near = difflib.get_close_matches(name, _OPERATORS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(_OPERATORS)}"
        raise BridgeError("Validation", f"{field}: no operator '{name}'; {hint}", field=field)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "in":
        fits = isinstance(value, list) and bool(value) and all(map(_scalar, value))
        expected = "a list of texts, numbers or booleans"
    elif name in _ORDERED:
        fits, expected = number, "a number"
    else:
        fits, expected = _scalar(value), "a text, a number or a boolean"
    if not fits:
        raise BridgeError("Validation", f"{field}: {name} takes {expected}", field=field)
    return cast("Operator", name), value


def _scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))  # bool is an int
