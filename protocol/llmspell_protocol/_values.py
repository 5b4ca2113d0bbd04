"""`ScriptValue`: the only thing that crosses the wall, and the walk that bounds it.

A `ScriptValue` is null, bool, int (i64), float (finite), str (valid UTF-8), bytes, a list of
values, or a map from str to value. Nesting is at most `MAX_DEPTH`, and one message holds at most
`MAX_ITEMS` elements. There is nothing else: no extension types, no timestamps, no other keys.
"""

from __future__ import annotations

from typing import Final

ScriptValue = (
    None | bool | int | float | str | bytes | list["ScriptValue"] | dict[str, "ScriptValue"]
)

MAX_DEPTH: Final = 64
"""Nesting of lists and maps: far above real data, far below any decoder's C stack."""

MAX_ITEMS: Final = 1 << 18
"""Elements in one message. One empty map is 1 byte on the wire and 64 in memory, so this cap, not
the frame's, bounds what decoding costs: 20 MB and, with the walk before it, 150 ms of a slow core
at worst. A hundred embeddings of 1,536 numbers fit."""

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1

NULL: Final = b"\xc0"
"""Null as msgpack: what a script that returns nothing has for a value."""
