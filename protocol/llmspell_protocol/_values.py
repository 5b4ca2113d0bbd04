"""`ScriptValue`: the only thing that crosses the wall, and the walk that bounds it.

A `ScriptValue` is null, bool, int (i64), float (finite), str (valid UTF-8), bytes, a list of
values, or a map from str to value. Nesting is at most `MAX_DEPTH`, and one message weighs at
most `MAX_WEIGHT`. There is nothing else: no extension types, no timestamps, no other keys.
"""

from __future__ import annotations

from typing import Final

ScriptValue = (
    None | bool | int | float | str | bytes | list["ScriptValue"] | dict[str, "ScriptValue"]
)

MAX_DEPTH: Final = 64
"""Nesting of lists and maps: far above real data, far below any decoder's C stack."""

WEIGHT_TEXT: Final = 8
"""Weight of text, bytes or a key, however long: the bytes of a frame bound the rest."""

WEIGHT_CONTAINER: Final = 24
"""Weight of a list or map, besides what it holds."""

MAX_WEIGHT: Final = 100 * 1024
"""Weight of one message from a worker; null, a boolean or a number weighs 1.

One empty map is 1 byte on the wire and 72 in memory, and a list of one number takes the host a
microsecond to look at, so this cap, not the frame's, bounds what a hostile frame costs: 10 ms and
6 MB. The weights are in proportion to the time. A list of 100,000 numbers fits, or 12,000 texts, or
2,000 maps of three numbers; more goes as JSON text, or in parts."""

MAX_HOST_WEIGHT: Final = 1 << 20
"""Weight of one value from the host, who is not hostile and whose frame is ten times as large: six
hundred embeddings of 1,536 numbers fit. The script pays for it out of its own heap."""

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1

NULL: Final = b"\xc0"
"""Null as msgpack: what a script that returns nothing has for a value."""
