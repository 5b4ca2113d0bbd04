"""Units as people write them: `256M`, `1.5G`, `64KiB`, `5s`, `300ms`, `2m`, `0.50`, and back.

Sizes are bytes; K, M and G count by 1024, with or without `B` or `iB` behind them. Times are
seconds. A plain number is bytes or seconds. Every parser raises `ValueError` with one line that
gives examples.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Unit = Literal["bytes", "seconds", "dollars", "count"]

_NUMBER: Final = r"(?P<number>\d{1,15}(?:\.\d{1,9})?)"
"""Digits are bounded so that a long argument cannot become a slow conversion."""
# As text, since most runs read no unit: `a` is ASCII, `i` takes either case.
_SIZE: Final = rf"(?ai){_NUMBER}\s*(?P<unit>[kmgt]?)(?:i?b)?"
_TIME: Final = rf"(?ai){_NUMBER}\s*(?P<unit>ms|s|m|min|h)?"
_PLAIN: Final = rf"(?a){_NUMBER}"
_COUNT: Final = r"(?a)\d{1,15}"

_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_STEPS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def parse_size(text: str) -> int:
    """Bytes, from `256M`, `1.5G`, `64KiB` or `4096`."""
    found = re.fullmatch(_SIZE, text.strip())
    if found is None:
        raise ValueError(f"'{_shown(text)}' is not a size: write 256M, 1.5G, 64KiB or 4096")
    size = float(found["number"]) * _BYTES[found["unit"].lower()]
    if not size.is_integer():
        raise ValueError(f"'{_shown(text)}' is not a whole number of bytes")
    return int(size)


def parse_time(text: str) -> float:
    """Seconds, from `5s`, `300ms`, `2m`, `1h` or `0.5`."""
    found = re.fullmatch(_TIME, text.strip())
    if found is None:
        raise ValueError(f"'{_shown(text)}' is not a time: write 5s, 300ms, 2m, 1h or 0.5")
    return float(found["number"]) * _SECONDS[(found["unit"] or "s").lower()]


def parse_money(text: str) -> float:
    """US dollars, from `0.50` or `2`."""
    if re.fullmatch(_PLAIN, text.strip()) is None:
        raise ValueError(f"'{_shown(text)}' is not an amount of US dollars: write 0.50 or 2")
    return float(text)


def parse_count(text: str) -> int:
    """A whole number, from `200`."""
    if re.fullmatch(_COUNT, text.strip()) is None:
        raise ValueError(f"'{_shown(text)}' is not a whole number: write 200")
    return int(text)


PARSERS: Final = {
    "bytes": parse_size,
    "seconds": parse_time,
    "dollars": parse_money,
    "count": parse_count,
}


def format_size(size: float) -> str:
    """Bytes for a person: `256 MiB`, `1.5 GiB`, `512 bytes`."""
    for name, step in _STEPS:
        if size >= step:
            return f"{_short(size / step, 1)} {name}"
    return "1 byte" if size == 1 else f"{_short(size, 0)} bytes"


def format_time(seconds: float) -> str:
    """Seconds for a person: `1.2 s`, `300 ms`, `2 min`, `1 h`, `1 min 30 s`."""
    if seconds < 1:
        return f"{_short(seconds * 1000, 0 if seconds >= 0.01 else 1)} ms"
    if seconds < 60:
        return f"{_short(seconds, 1)} s"
    if seconds < 3600:
        return _two(seconds, "min", "s")
    return _two(seconds / 60, "h", "min")


def format_money(amount: float) -> str:
    """US dollars for a person: `$0.50`, `$0.0012`."""
    return f"${amount:.4f}" if 0 < amount < 0.01 else f"${amount:.2f}"


def format_count(count: float) -> str:
    """A number with its thousands marked: `200,000`."""
    return f"{count:,}"


FORMATTERS: Final = {
    "bytes": format_size,
    "seconds": format_time,
    "dollars": format_money,
    "count": format_count,
}


def write_units(value: float, unit: Unit) -> str:
    """`value` as its parser reads it, for flags and config files: `256M`, `2m`, `0.50`, `200`."""
    if unit == "bytes":
        for letter in "GMK":
            if value and value % _BYTES[letter.lower()] == 0:
                return f"{int(value) // _BYTES[letter.lower()]}{letter}"
        return str(int(value))
    if unit == "seconds":
        for name, step in (("h", 3600), ("m", 60)):
            if value and value % step == 0:
                return f"{int(value) // step}{name}"
        return f"{_short(value, 3)}s"
    return f"{value:.2f}" if unit == "dollars" else str(int(value))


def _short(number: float, digits: int) -> str:
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _two(value: float, large: str, small: str) -> str:
    whole, rest = divmod(round(value), 60)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def _shown(text: str) -> str:
    from ._text import escape_line, truncate

    return truncate(escape_line(text), 40)
