"""Where two values part, in words that name the place."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

MAX_SHOWN = 2000
"""Characters of a value in a message: a person reads a few lines."""


class Difference(Struct, frozen=True, kw_only=True):
    """The first thing that was not as it was recorded."""

    what: str
    """In a line: `call 2, llm.complete: argument 1.messages[0].content differs`."""
    recorded: Any = None
    now: Any = None
    compared: bool = True
    """Whether the two values say something."""


class Differs(Exception):
    """The run is not the recorded one; it is ended."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.what)
        self.difference = difference


_MISSING = "(nothing)"


def first_difference(recorded: Any, now: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first place where two values differ, and what is there in each; None if nowhere.

    The place is such as `.messages[0].content`; empty where the values differ as a whole.
    """
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*recorded, *now)):
            where = f"{path}.{key}"
            if key not in recorded or key not in now:
                return where, recorded.get(key, _MISSING), now.get(key, _MISSING)
            found = first_difference(recorded[key], now[key], where)
            if found is not None:
                return found
        return None
    if isinstance(recorded, list | tuple) and isinstance(now, list | tuple):
        for i, (a, b) in enumerate(zip(recorded, now, strict=False)):
            found = first_difference(a, b, f"{path}[{i}]")
            if found is not None:
                return found
        if len(recorded) != len(now):
            i = min(len(recorded), len(now))
            sides = [side[i] if i < len(side) else _MISSING for side in (recorded, now)]
            return f"{path}[{i}]", sides[0], sides[1]
        return None
    if type(recorded) is type(now) and recorded == now:
        return None
    return path, recorded, now


def canonical(value: Any) -> bytes:
    """Equal values as equal bytes."""
    return msgspec.json.encode(value, order="sorted")
