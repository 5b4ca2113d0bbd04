"""One field of a policy as a person wrote it, checked: the same for flags, files and manifests.

Nothing is expanded: `~` and `$NAME` in a path stay what they are and are refused, so that what a
file grants can be read from the file.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ._errors import SupervisorError
from ._policy import FIELDS, GRANTS, LIMITS, META
from ._text import escape_line, nearest, truncate
from ._units import FORMATTERS, PARSERS

# As text: most runs have no grant to check.
_ENV_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,254}"
_BRIDGE_NAME: Final = r"[a-z][a-z0-9_]{0,62}(?:\.[a-z][a-z0-9_]{0,62}){0,2}"
_HOST: Final = r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_-]{1,63})*|[0-9a-f:.]{2,45}"
_MAX_ITEMS: Final = 1000
"""Items of one grant: far above what a person lists, and checked one by one against another."""

_FLAGS: Final = {
    "allow_bridges": "--allow-bridge",
    "allow_models": "--allow-model",
    "libraries": "--library",
}
"""A flag that is repeated names one item, so it is singular."""


def flag_of(field: str) -> str:
    """The flag of a policy field: `--max-output`."""
    return _FLAGS.get(field) or "--" + field.replace("_", "-")


def show_value(field: str, value: Any) -> str:
    """A field's value for a person: `256 MiB`, `llm, http`, `yes`."""
    if field in LIMITS:
        return FORMATTERS[LIMITS[field]](value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(value) or "none") if field in GRANTS else str(value)


def check_fields(
    raw: Mapping[str, Any],
    *,
    base: str,
    fail: Callable[[str, str], SupervisorError],
    allowed: tuple[str, ...] = tuple(FIELDS),
) -> dict[str, Any]:
    """The fields of `raw` as a policy holds them. Relative paths start at the folder `base`.

    The first wrong one raises `fail(key, message)`: unknown, of the wrong type, out of bounds.
    """
    checked = {}
    for key, value in raw.items():
        if key not in allowed:
            shown = escape_line(truncate(str(key), 60))
            raise fail(shown, f"unknown key{nearest(shown, allowed)}")
        try:
            checked[key] = check_field(key, value, base=base)
        except ValueError as error:
            raise fail(key, str(error)) from None
    return checked


def check_field(field: str, value: Any, *, base: str) -> Any:
    """One value as `Policy` holds it. Raises `ValueError` with one line."""
    if field in LIMITS:
        return _limit(field, value)
    if field in GRANTS:
        return _grant(field, value, base)
    try:
        return msgspec.convert(value, FIELDS[field].type)
    except msgspec.ValidationError:
        wanted = (
            "true or false" if isinstance(FIELDS[field].default, bool) else "strict or degraded"
        )
        raise ValueError(f"{_quoted(value)} is not {wanted}") from None


def _limit(field: str, value: Any) -> Any:
    unit, meta = LIMITS[field], META[field]
    if isinstance(value, str):
        value = PARSERS[unit](value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(  # noqa: TRY004 the one error that callers turn into theirs
            f"{_quoted(value)} is neither a number nor a text such as 256M or 5s"
        )
    low = meta.ge if meta.ge is not None else meta.gt
    if low is not None and (value < low or (value == low and meta.gt is not None)):
        least = "more than 0" if meta.gt is not None else f"at least {show_value(field, low)}"
        raise ValueError(f"{_number(field, value)} is too little: it must be {least}")
    if meta.le is not None and value > meta.le:
        most = show_value(field, meta.le)
        raise ValueError(f"{_number(field, value)} is too much: it must be at most {most}")
    try:
        return msgspec.convert(value, FIELDS[field].type)
    except msgspec.ValidationError:
        raise ValueError(f"{value} is not a whole number") from None


def _number(field: str, value: float) -> str:
    return str(value) if value <= 0 else show_value(field, value)


def _grant(field: str, value: Any, base: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{_quoted(value)} is not a list of texts")
    if len(value) > _MAX_ITEMS:
        raise ValueError(f"{len(value)} items; the cap is {_MAX_ITEMS}")
    return tuple(dict.fromkeys(_item(field, item, base) for item in value))


def _item(field: str, item: str, base: str) -> str:
    if not item or escape_line(item) != item:
        raise ValueError(f"{_quoted(item)} is empty or holds control characters")
    if GRANTS[field] == "directory":
        return _directory(item, base)
    if GRANTS[field] == "domain":
        return _host(item)
    pattern = {"allow_env": _ENV_NAME, "allow_bridges": _BRIDGE_NAME}.get(field)
    if pattern is not None and re.fullmatch(pattern, item) is None:
        what = (
            "name of an environment variable"
            if field == "allow_env"
            else "name of a bridge or method"
        )
        raise ValueError(f"{_quoted(item)} is not the {what}")
    return item


def _host(item: str) -> str:
    host = item.lower().rstrip(".")
    if "/" in host:
        raise ValueError(f"{_quoted(item)} is not a host: write only its name, api.example.com")
    if re.fullmatch(_HOST, host) is None:
        raise ValueError(f"{_quoted(item)} is not a host: write api.example.com or *.example.com")
    return host


def _directory(item: str, base: str) -> str:
    """The real path, so that a link inside a granted folder does not grant what it points to."""
    if item.startswith("~") or "$" in item:
        raise ValueError(f"{_quoted(item)}: '~' and '$' are not expanded: write the whole path")
    path = os.path.realpath(os.path.join(base, item))
    if not os.path.isdir(path):
        raise ValueError(f"{_quoted(item)} is not a directory")
    return path


def _quoted(value: Any) -> str:
    shown = value if isinstance(value, str) else _toml(value)
    return f"'{truncate(escape_line(shown), 60)}'"


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
