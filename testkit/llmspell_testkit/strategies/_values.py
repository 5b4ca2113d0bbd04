"""A Hypothesis strategy of values that cross the wall, and what each language makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

if TYPE_CHECKING:
    from .._stage import Stage

LEAVES: Final = 8
_EXACT: Final = 2**53
"""Below it each integral double is exactly one integer (IEEE 754 binary64)."""

_ECHO: Final = {
    "lua": "local out = {} for i, v in ipairs(params.values) do out[i] = echo.say({v})[1] end "
    "return {out, params.values}",
    "javascript": "const out = []; for (const v of params.values) out.push((await echo.say([v]))[0]);"
    " return [out, params.values]",
}
"""To the host and back, one by one; and all of them as they came."""


def values() -> st.SearchStrategy[Any]:
    """Every kind of value that can cross: null, truth, numbers, text, bytes, lists, maps."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-300, 300),
        st.floats(allow_nan=False, allow_infinity=False),
        text,
        st.binary(max_size=12),
        st.sampled_from(["\0", "\0b", "\ufeff", "\u2028", "__proto__", "end", "🌍", b"abc", 2**53]),
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=LEAVES,
    )


def as_seen_by(language: str, value: Any) -> Any:
    """What a value is once it has been in a language, by the rules that are promised of it."""
    if isinstance(value, list):
        return [as_seen_by(language, each) for each in value]
    if isinstance(value, dict):
        return {key: as_seen_by(language, each) for key, each in value.items()}
    if language == "javascript" and isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if language == "lua" and isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def run_values(stage: Stage, given: Sequence[Any], language: str) -> tuple[list[Any], list[Any]]:
    """What comes back of values: each by a call of the bridge `echo`, and all by returning them."""
    report = stage.run(
        _ECHO[language],
        language,
        params={"values": list(given)},
        max_calls=len(given),
        max_output=8 * 1024 * 1024,
        max_request=8 * 1024 * 1024,
    )
    assert report.verdict == "ok", report.problem
    called, returned = report.value
    return called, returned
