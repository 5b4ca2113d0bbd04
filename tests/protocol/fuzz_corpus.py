"""Where the guided fuzzer begins: every lawful frame at its place, and whole conversations.

An input is one byte that picks a stage, one that says whether the rest is a body (the header is
then made for it) or a stream with headers of its own, and the rest. `python -m
tests.protocol.fuzz_corpus` writes the files that are checked in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from llmspell_protocol import State
from tests.protocol.conversations import BODIES, FOREIGN
from tests.protocol.helpers import framed
from tests.protocol.judge import STAGES, Stage

CORPUS: Final = Path(__file__).parent / "corpus"

BODY, STREAM = 0x00, 0x80
"""The second byte of an input; from `STREAM` on, it is one."""


def parsed(data: bytes) -> tuple[Stage, bytes]:
    """The stage and the bytes that an input of at least two bytes stands for."""
    stage, rest = STAGES[data[0] % len(STAGES)], data[2:]
    return (stage, rest) if data[1] >= STREAM else (stage, framed(rest) + stage.after)


def corpus() -> dict[str, bytes]:
    """Name of the file to the input."""
    starts = [n for n, s in enumerate(STAGES) if s.connection.state is State.BOOTING]
    found = {f"body-{n:02}": bytes([n, BODY]) + s.due for n, s in enumerate(STAGES)}
    for number, (start, bodies) in enumerate(zip(starts, BODIES, strict=True)):
        found[f"stream-{number}"] = bytes([start, STREAM]) + framed(*bodies)
    for number, body in enumerate(FOREIGN):
        found[f"foreign-{number}"] = bytes([3, BODY]) + body
    return found


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    for name, data in corpus().items():
        (CORPUS / name).write_bytes(data)
