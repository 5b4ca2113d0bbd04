"""No text that a spell wrote can act on a terminal or pass for another's line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_supervisor._text import (
    escape,
    escape_json,
    escape_line,
    nearest,
    prefix_lines,
    truncate,
)

HOSTILE = {
    "ANSI colour": "\x1b[31mred",
    "clear screen": "\x1b[2J\x1b[H",
    "clipboard (OSC 52)": "\x1b]52;c;ZXZpbA==\x07",
    "hyperlink (OSC 8)": "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",
    "C1 CSI": "\x9b31m",
    "overwrite by CR": "you are safe\rnot really",
    "bell and backspace": "a\x07\b\b",
    "bidi override": "user\u202e\u2066 // admin\u2069",
    "right-to-left mark": "a\u200fb\u061cc",
    "line separator": "one\u2028two\u2029three\x85four",
    "lone surrogate": "a\ud800b",
    "DEL and NUL": "a\x7f\x00b",
    "vertical tab and form feed": "a\x0b\x0cb",
}
FORBIDDEN = {
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029",
} - {"\t", "\n"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_and_does_nothing(text: str) -> None:
    assert not set(escape(text)) & FORBIDDEN
    assert "\n" not in escape_line(text)
    escape(text).encode()


def test_escapes_are_readable() -> None:
    assert escape("\x1b[1m \r \u202e \x9b") == "\\x1b[1m \\r \\u202e \\x9b"


def test_ordinary_text_is_left_as_it_is() -> None:
    text = "tab\there\nnext línea — 漢字 🎉 👩‍👩‍👧 עברית العربية \\x1b \\n"
    assert escape(text) == text


def test_a_windows_newline_is_a_newline() -> None:
    assert escape("a\r\nb") == "a\nb"


def test_every_line_of_a_text_is_prefixed_so_that_none_can_be_forged() -> None:
    forged = "fine\nllmspell-supervisor: error: all is lost\r\n[error] not mine"
    assert all(line.startswith("[warn] ") for line in prefix_lines(forged, "[warn] ").split("\n"))


@given(st.text())
def test_escaped_text_holds_no_control_character(text: str) -> None:
    assert not set(escape(text)) & FORBIDDEN


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escaped_json_decodes_to_the_same_value(value: object) -> None:
    document = escape_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(document) == value
    assert not set(document) & FORBIDDEN


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert truncate("abcdef", 4) == "abc…"
    assert truncate("abcd", 4) == "abcd"


def test_the_nearest_name_is_offered_and_no_far_one() -> None:
    assert nearest("memroy", ("memory", "cpu")) == "; did you mean 'memory'?"
    assert nearest("zzz", ("memory", "cpu")) == ""
