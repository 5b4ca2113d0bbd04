"""Rules and words that every engine shares when script values leave as `ScriptValue`s.

Each engine converts in its own language, inside the worker, and hands over msgpack. Where a value
cannot cross, it raises an error of kind Conversion whose message is one of `REASONS`, then ` at `
and the path. A path starts with `$` for the returned value and `argument N` (from 1) for a call's,
goes on with `.key` or `["other key"]` and `[index]` from 0 in every language, and is left out when
it is `$` alone.

Rules that are not plain from the messages:

- Text that is valid UTF-8 is str; other octets (a Lua string, a Uint8Array) are bytes. What the
  host calls bytes is a Lua string, and a Uint8Array in JavaScript.
- An integral JavaScript number within 2^53 is an int. A Lua number is what `math.type` calls it.
- `null` inside a list or map is `json.null` in Lua, so that nothing is lost; alone, as a returned
  value or an answer, it is nil.
- A function crosses where the method's binding lets functions in, as `{"@function": N}`; an object
  of the host in any call's arguments, as `{"@object": N}`; neither in a value that is returned.
- An answer that works as text crosses as its text in the arguments of a bridge's method, and with all
  of its fields elsewhere: in a returned value and for the `json` library.
- Only own, enumerable, string-named fields are read; metatables and prototypes are not asked.
"""

from __future__ import annotations

from typing import Final

from llmspell_protocol import (
    MAX_DEPTH,
    MAX_FUNCTIONS,
    MAX_NESTING,
    MAX_WEIGHT,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
)

ENVELOPE_WEIGHT: Final = 72
"""Weight of a message around its value; the cap of the wire counts it too."""

WEIGHT: Final = MAX_WEIGHT - ENVELOPE_WEIGHT
"""Weight of one value, or of the arguments of one call: see `MAX_WEIGHT`."""

REASONS: Final = {
    "finite": "NaN and infinities cannot cross",
    "range": "an integer beyond 64 bits cannot cross",
    "cycle": "a value that contains itself cannot cross",
    "depth": f"nesting deeper than {MAX_DEPTH} levels cannot cross",
    "weight": (
        f"a value that weighs more than {WEIGHT} cannot cross (a number 1, text {WEIGHT_TEXT}, "
        f"a list or map {WEIGHT_CONTAINER} and what is in it); send it in parts or as JSON text"
    ),
    "holes": "a list with holes cannot cross; fill them with null",
    "mixed": "a table with both list items and named fields cannot cross",
    "key": "a map key must be a string, not a %s",
    "type": "a %s cannot cross",
    "text": "text that is not valid Unicode cannot cross",
    "functions": f"more than {MAX_FUNCTIONS} functions of one run cannot cross",
}
"""Reason by its short name; `%s` stands for the script language's name of a type."""

TOO_NESTED: Final = f"more than {MAX_NESTING} functions wait for each other"
"""Why a function that the host calls is not run."""

UNKNOWN_FUNCTION: Final = "the script never handed over such a function"
"""Likewise: a bug of a bridge."""
