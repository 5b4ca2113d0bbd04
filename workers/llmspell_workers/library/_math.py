"""`math`: what scripts expect and their languages lack.

Engines compute these themselves; given arguments that do not fit, they ask here, so that the error
is the same in all. The rule of results is JavaScript's: an integral number below 2^53 is an
integer, whichever way it was computed.
"""

from __future__ import annotations

import math
from typing import Final

Number = int | float

_SAFE: Final = (1 << 53) - 1
"""Number.MAX_SAFE_INTEGER: the largest that is an integer when JavaScript hands it over."""


def pow(base: float, exponent: float) -> Number:  # noqa: A001 - the name that scripts know
    """`base` to the power of `exponent`."""
    try:
        return _number(math.pow(base, exponent))
    except OverflowError:
        return math.inf
    except ValueError:  # a pole (0 to a negative power) or no real result
        return math.inf if base == 0 else math.nan


def clamp(value: float, low: float, high: float) -> Number:
    """`value`, or the bound that it passes."""
    return _number(max(low, min(high, value)))


def round(value: float) -> Number:  # noqa: A001
    """The nearest integer; halves go away from zero."""
    whole = math.floor(abs(value))
    return _number(math.copysign(whole + (abs(value) - whole >= 0.5), value))


def trunc(value: float) -> Number:
    """`value` without its fraction."""
    return _number(math.trunc(value))


def sign(value: float) -> Number:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)


def lerp(start: float, end: float, fraction: float) -> Number:
    """The point between `start` and `end` at `fraction` (0 to 1)."""
    return _number(start + (end - start) * fraction)


def sum(values: list[float]) -> Number:  # noqa: A001
    """The sum of a list, added from left to right."""
    return _number(_total(values))


def mean(values: list[float]) -> Number:
    """The arithmetic mean of a list; 0 for an empty one."""
    return _number(_total(values) / len(values)) if values else 0


def median(values: list[float]) -> Number:
    """The middle of a list, or the mean of its two middles; 0 for an empty one."""
    if not values:
        return 0
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return _number(ordered[half])
    return _number((ordered[half - 1] + ordered[half]) / 2)


def _total(values: list[float]) -> float:
    # Not the builtin: it compensates rounding since Python 3.12, which no engine does.
    total = 0.0
    for value in values:
        total += value
    return total


def _number(value: float) -> Number:
    whole = math.isfinite(value) and value == math.floor(value) and abs(value) <= _SAFE
    return int(value) if whole else float(value)


FUNCTIONS: Final = (clamp, lerp, mean, median, pow, round, sign, sum, trunc)
