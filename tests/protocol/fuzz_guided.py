"""Mutates frames by what they reach: coverage-guided, by atheris. `make fuzz-guided` runs it.

`fuzz_corpus` says what an input means and where the search begins, `judge` states the invariant.
Flags are libFuzzer's; a file instead of a folder repeats one input.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import atheris

with atheris.instrument_imports(include=["llmspell_protocol"]):
    from tests.protocol.fuzz_corpus import parsed
    from tests.protocol.judge import judge


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut before each byte that 7 divides: where that is, is the input's own business."""
    start = 0
    for at, byte in enumerate(data):
        if byte % 7 == 0:
            yield data[start:at]
            start = at
    yield data[start:]


def judge_input(data: bytes) -> None:
    """Raises whatever breaks the invariant."""
    if len(data) >= 2:
        stage, rest = parsed(data)
        judge(stage, rest, list(pieces(rest)))


if __name__ == "__main__":
    atheris.Setup(sys.argv, judge_input)
    atheris.Fuzz()
