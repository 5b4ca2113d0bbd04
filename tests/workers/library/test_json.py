"""`json` of scripts: one text for one value, and errors that say where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol import MAX_DEPTH, pack, unpack
from llmspell_workers.library import HostError, call_library

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def call(method: str, *arguments: Any) -> Any:
    return unpack(call_library(method, pack(list(arguments))))


def refused(method: str, *arguments: Any) -> HostError:
    with pytest.raises(HostError) as caught:
        call(method, *arguments)
    return caught.value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": {"d": [], "c": {}}}, '{"a":{"c":{},"d":[]},"b":1}'),
        ([1.0, -0.0, 1.5, 1e300], "[1,0,1.5,1e300]"),
        ([2.0**53, 2.0**54], "[9007199254740992,1.8014398509481984e16]"),
        ("é\n\x00", '"é\\n\\u0000"'),
        (None, "null"),
    ],
)
def test_a_value_has_one_text(value: Any, text: str) -> None:
    assert call("json.encode", value) == text


def test_pretty_text_is_indented_as_asked() -> None:
    assert call("json.encode", {"a": [1]}, {"pretty": True}) == '{\n  "a": [\n    1\n  ]\n}'
    assert call("json.encode", {"a": 1}, {"pretty": True, "indent": 1}) == '{\n "a": 1\n}'


@given(VALUES)
def test_what_is_encoded_decodes_to_an_equal_value(value: Any) -> None:
    assert call("json.decode", call("json.encode", value)) == value


def test_binary_data_is_refused_with_its_path() -> None:
    info = refused("json.encode", {"a": [b"\xff"]}).info
    assert info.kind == "Serialization"
    assert "$.a[0]" in info.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1 column 1"),
        ("{", "line 1 column 2"),
        ('{"a":\n  x}', "line 2 column 3"),
        ('["é", x]', "line 1 column 7"),
        ("[1] 2", "line 1 column 5"),
        ('{"a":1,}', "line 1 column 8"),
    ],
)
def test_malformed_text_is_refused_with_line_and_column(text: str, place: str) -> None:
    info = refused("json.decode", text).info
    assert info.kind == "Serialization"
    assert place in info.message


@pytest.mark.parametrize(
    "text", ["[1e999]", str(2**63), "[-1e999]", "NaN", "[" * 65 + "]" * 65, "[" * 100_000]
)
def test_text_that_says_more_than_a_value_can_hold_is_refused(text: str) -> None:
    assert refused("json.decode", text).info.kind == "Serialization"


def test_nesting_up_to_the_limit_decodes() -> None:
    value = call("json.decode", "[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert value[0][0][0]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((), None),
        ((1, {"indent": 9}), "indent"),
        ((1, {"indent": -1}), "indent"),
        ((1, {"prety": True}), "prety"),
        ((1, 2), "options"),
    ],
)
def test_arguments_are_validated(arguments: tuple[Any, ...], field: str | None) -> None:
    info = refused("json.encode", *arguments).info
    assert (info.kind, info.field) == ("Validation", field)
    assert info.message.startswith("json.encode: ")
