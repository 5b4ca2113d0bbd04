"""The table of functions, and the way from msgpack arguments to a msgpack value."""

from __future__ import annotations

# Imported now because a worker has no file system to import from: `Signature` wants it for a hint.
import difflib  # noqa: F401
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmspell_protocol import ArgumentError, ErrorInfo, Signature

from . import _json, _math, _util
from ._errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

_FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], ...]]] = {
    "json": _json.FUNCTIONS,
    "math": _math.FUNCTIONS,
    "util": _util.FUNCTIONS,
}

LIBRARY: Final[dict[str, dict[str, Signature]]] = {
    module: {function.__name__: Signature(function, skip=()) for function in functions}
    for module, functions in _FUNCTIONS.items()
}
"""Module to function to signature; names in snake_case."""

_BY_NAME: Final = {
    f"{module}.{function.__name__}": (function, LIBRARY[module][function.__name__])
    for module, functions in _FUNCTIONS.items()
    for function in functions
}

_encode = msgspec.msgpack.Encoder().encode


def call_library(method: str, args: bytes) -> bytes:
    """Call `module.function` with a msgpack array of arguments; its value as msgpack.

    Raises `HostError`: Validation with the field, or what the function itself refuses.
    """
    function, signature = _BY_NAME[method]
    try:
        values = signature.decode(args)
    except ArgumentError as error:
        text = f"{method}: {error}"
        raise HostError(ErrorInfo("Validation", text, field=error.field)) from None
    return _encode(function(*values))
