"""The bounds of values, and what the books take for a list and a map."""

from __future__ import annotations

import msgspec
import pytest

from llmspell_protocol import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    MAX_HOST_WEIGHT,
    MAX_WEIGHT,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
)
from llmspell_protocol import _ledger as ledger


def test_the_bounds_are_those_of_the_specification() -> None:
    assert (MAX_DEPTH, WEIGHT_TEXT, WEIGHT_CONTAINER) == (64, 8, 24)
    assert (MAX_WEIGHT, MAX_HOST_WEIGHT) == (102_400, 1_048_576)
    assert (INT_MIN, INT_MAX) == (-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("kind", "heads"),
    [
        (ledger._ARRAYS, [b"\x90", b"\x9f", b"\xdc", b"\xdd"]),
        (ledger._MAPS, [b"\x80", b"\x8f", b"\xde", b"\xdf"]),
    ],
)
def test_of_all_first_bytes_those_of_its_type_are_taken(
    kind: frozenset[int], heads: list[bytes]
) -> None:
    first, last, *longer = heads
    wanted = {*range(first[0], last[0] + 1), *(head[0] for head in longer)}
    for byte in range(256):
        if byte in wanted:
            ledger._expect(msgspec.Raw(bytes([byte])), kind, "wrong type")
            continue
        with pytest.raises(ledger.Breach, match="wrong type"):
            ledger._expect(msgspec.Raw(bytes([byte])), kind, "wrong type")
    with pytest.raises(ledger.Breach):
        ledger._expect(msgspec.Raw(b""), kind, "nothing")


@pytest.mark.parametrize(("length", "shown"), [(79, 79), (80, 80), (81, 83), (500, 83)])
def test_the_other_sides_text_is_quoted_up_to_eighty_characters(length: int, shown: int) -> None:
    quoted = ledger.quote("x" * length)
    assert len(quoted) == shown + len("''")
    assert quoted.endswith("...'") == (length > 80)
