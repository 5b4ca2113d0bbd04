r"""Text that spells, models and files wrote, made safe to show.

A spell's text may reach a terminal, a pipe, a log. Everywhere the same characters are escaped:
C0 controls but tab and newline, DEL, C1, line and paragraph separators, the bidirectional
controls, and lone surrogates. So no text moves the cursor, sets the clipboard, hides or reorders
what is read, or ends a line where a reader of lines would not expect it. The escapes are shown as
`\x1b`, `\r`, `\u202e`; a backslash that was in the text stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

_UNSAFE: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but \t and \n, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls: UAX #9
    "\u2028\u2029"  # separators that some readers take for a newline
    "\ud800-\udfff"  # lone surrogates: no encoder writes them
)
_NAMED: Final = {"\r": "\\r", "\n": "\\n"}


def escape(text: str) -> str:
    """`text` with every unsafe character written out; newlines and tabs stay, CRLF becomes LF."""
    return _replace(_UNSAFE, _show, text.replace("\r\n", "\n"))


def escape_line(text: str) -> str:
    """Like `escape`, and newlines are written out too: the result is one line."""
    return _replace(_UNSAFE + "\n", _show, text)


def escape_json(document: str) -> str:
    """A JSON document whose strings hold no unsafe character raw; it decodes to the same value.

    Only for what a JSON encoder wrote: outside strings it has none of these but newlines.
    """
    return _replace(_UNSAFE, lambda found: f"\\u{ord(found[0]):04x}", document)


def prefix_lines(text: str, prefix: str) -> str:
    """Escaped text with `prefix` before every line, so that no line passes for another's."""
    return "\n".join(prefix + line for line in escape(text).split("\n"))


def truncate(text: str, length: int) -> str:
    """At most `length` characters, the last an ellipsis where something was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` for the known name nearest to `name`, or nothing."""
    import difflib  # only errors need it

    near = difflib.get_close_matches(name, known, 1, 0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def snake_case(name: str) -> str:
    """A name as Lua has it, from `listModels`, which is how JavaScript does."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), name)


def _replace(unsafe: str, show: Callable[[re.Match[str]], str], text: str) -> str:
    # No unsafe character is printable, and compiling the pattern takes longer than a short run's
    # output: only text that needs it pays.
    return text if text.isprintable() else re.sub(f"[{unsafe}]", show, text)


def _show(found: re.Match[str]) -> str:
    char = found[0]
    code = ord(char)
    return _NAMED.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
