"""Errors as they cross the wall."""

from __future__ import annotations

import pytest

from llmspell_bridges import BridgeError, one_line
from llmspell_bridges._errors import MAX_MESSAGE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\r\nb\tc", "a b c"),
        ("a\x1b]52;c;x\x07b", "a ]52;c;x b"),
        ("a\u202eb\u2028c", "a b c"),
        ("a\ud800b", "a b"),
        ("é漢🙂", "é漢🙂"),
    ],
)
def test_a_message_cannot_move_a_cursor_or_reorder_text(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_a_long_message_is_cut_and_says_so() -> None:
    cut = one_line("x" * 10_000_000)
    assert len(cut) == MAX_MESSAGE
    assert cut.endswith("…")


def test_an_error_keeps_every_detail_that_scripts_see() -> None:
    info = BridgeError(
        "Timeout", "m", retryable=True, retry_after=1.0, field="f", duration=2.0
    ).info()
    assert (info.kind, info.message, info.retryable) == ("Timeout", "m", True)
    assert (info.retry_after, info.field, info.duration) == (1.0, "f", 2.0)
