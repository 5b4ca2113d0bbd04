"""What stands for a thing that cannot cross: a function of the script, an object of the host.

A parameter, or a field of a `Struct`, that is typed with one of these takes what the worker made of
such a thing, and nothing else. A script that writes the same map by hand gains nothing: the number
of a function leads back to the script's own functions, and that of an object to what the same run
was given, whose kind is checked.
"""

from __future__ import annotations

import re
import sys
import typing
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec


class ScriptFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that the script handed over: what `CallContext.invoke` calls."""

    number: int = msgspec.field(name="@function")


class ObjectHandle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object that the script was given before: `CallContext.object` finds it."""

    number: int = msgspec.field(name="@object")


_NAME: Final = r"[A-Za-z_][\w.]*"

HANDLES: Final[dict[Any, str]] = {ScriptFunction: "function", ObjectHandle: "object"}
"""Their names in the words of scripts."""


def takes_functions(function: Callable[..., Any]) -> bool:
    """Whether a parameter of `function` can hold a function of the script, at whatever depth.

    Reads the names in annotations and looks them up, which takes microseconds. To evaluate them, as
    `Signature` does for what is called, would take a run milliseconds for what it does not call.
    """
    given = function.__annotations__
    return any(
        _reaches(hint, function.__globals__, set()) for n, hint in given.items() if n != "return"
    )


def _reaches(hint: Any, names: dict[str, Any], seen: set[Any]) -> bool:
    if isinstance(hint, str):
        return any(_reaches(found, names, seen) for found in _named(hint, names))
    if hint is ScriptFunction:
        return True
    if not (isinstance(hint, type) and issubclass(hint, msgspec.Struct)):
        return any(_reaches(inner, names, seen) for inner in typing.get_args(hint))
    if hint in seen:
        return False
    seen.add(hint)
    return any(
        _reaches(inner, getattr(sys.modules.get(owner.__module__), "__dict__", {}), seen)
        for owner in hint.__mro__
        for inner in vars(owner).get("__annotations__", {}).values()
    )


def _named(text: str, names: dict[str, Any]) -> Iterator[Any]:
    for name in re.findall(_NAME, text):
        first, *rest = name.split(".")
        found = names.get(first)
        for attribute in rest:
            found = getattr(found, attribute, None)
        if found is not None:
            yield found
