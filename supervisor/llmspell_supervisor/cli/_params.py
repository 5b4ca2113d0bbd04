"""Parameters of a run: `--param KEY=VALUE`, `--param KEY:=JSON`, `--params FILE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmspell_protocol import ValueRejected, pack

from .._errors import ConfigError, SupervisorError, UsageError
from .._files import decode_text, read_regular
from .._policy import MIB
from .._text import escape_line, truncate

if TYPE_CHECKING:
    from .._parameters import Declared

MAX_PARAMS: Final = MIB
"""Bytes of a file of parameters: they are copied into the worker before it starts."""


def read_params(
    pairs: Sequence[str], file: str | None, declared: Declared | None = None
) -> dict[str, Any]:
    """All parameters. A `--param` stands above the same key of the file.

    Where the spell's manifest has `declared` some, the text of a `--param KEY=VALUE` is read by its
    type, what is not given has its default, and there are no others.
    Raises `UsageError` or `ConfigError` that names the parameter.
    """
    params = _from_file(file) if file is not None else {}
    seen: set[str] = set()
    for pair in pairs:
        key, value = _pair(pair, declared)
        if key in seen:
            raise UsageError(f"--param {escape_line(key)} is given twice")
        seen.add(key)
        params[key] = value
    if declared is not None:
        from .._parameters import complete

        params = complete(declared, params)
    for key, value in params.items():
        _check(key, value)
    return params


def _pair(text: str, declared: Declared | None) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    typed = key.endswith(":")
    key = key.removesuffix(":")
    shown = escape_line(truncate(text, 60))
    if not equals or not key or escape_line(key) != key:
        raise UsageError(f"--param '{shown}' is not KEY=VALUE", "or KEY:=JSON for other types")
    if not typed and declared is not None:
        from .._parameters import read_text

        return key, read_text(declared, key, value)
    if not typed:
        return key, value
    try:
        return key, msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = f"--param '{shown}' is not KEY:=JSON: {error}"
        raise UsageError(reason, "write KEY=VALUE for a text") from None


def _from_file(path: str) -> dict[str, Any]:
    shown = "standard input" if path == "-" else escape_line(path)
    if path.endswith(".toml"):
        from .._toml import Document

        return Document.load(path, MAX_PARAMS).data
    data = _stdin() if path == "-" else read_regular(path, MAX_PARAMS, ConfigError)
    text = decode_text(data, shown, ConfigError)
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"not valid JSON: {error}", file=shown) from None
    if not isinstance(found, dict):
        raise ConfigError('parameters are a map: write {"name": ...}', file=shown)
    return found


def _stdin() -> bytes:
    return read_stdin(MAX_PARAMS, "parameters", ConfigError)


def read_stdin(cap: int, what: str, error: type[SupervisorError]) -> bytes:
    """At most `cap` bytes of standard input; more raises `error`."""
    from .._units import format_size

    data = sys.stdin.buffer.read(cap + 1)
    if len(data) > cap:
        raise error(f"standard input: {what} over {format_size(cap)}, the cap")
    return data


def _check(key: str, value: Any) -> None:
    try:
        pack(value)
    except (ValueRejected, TypeError) as error:
        raise UsageError(
            f"parameter '{escape_line(key)}' cannot be given to a spell: {error}"
        ) from None
