"""A fraction of the fuzzer's run with every test run, the whole of it on demand."""

from __future__ import annotations

import random

import msgspec
import pytest

from llmspell_protocol import State, WorkerMessage
from tests.protocol import fuzz
from tests.protocol.helpers import framed

seeded = random.Random

FRACTION = 50_000
WHOLE = 1_000_000


def test_the_conversations_that_are_mutated_are_legal_themselves() -> None:
    for bodies in fuzz.BODIES:
        heard, error, state = fuzz.judge(framed(*bodies), seeded(1), 0)
        assert (heard, error, state) == (bodies, "", State.DONE)


def test_the_conversations_hold_every_message_of_a_worker() -> None:
    said = {type(m) for messages in fuzz.CONVERSATIONS for m in messages}
    assert said == set(WorkerMessage.__args__)


def test_every_mutation_changes_most_bodies() -> None:
    body = fuzz.BODIES[0][1]
    for mutate in fuzz.MUTATIONS:
        changed = 0
        for seed in range(50):
            copy = bytearray(body)
            mutate(copy, seeded(seed))
            changed += bytes(copy) != body
        assert changed > 25, mutate.__name__


def test_the_fuzzer_finds_an_outcome_that_depends_on_the_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fuzzer itself can fail: it is given a splitter that loses a byte."""

    def losing(data: bytes, _rng: random.Random) -> list[bytes]:
        return [data[:20], data[21:]]

    monkeypatch.setattr(fuzz, "pieces", losing)
    monkeypatch.setattr(fuzz, "single", losing)
    with pytest.raises(fuzz.Broken, match="seed 1, conversation 0"):
        fuzz.fuzz(100, seed=1)


@pytest.mark.timeout(180)
def test_mutated_bytes_parse_or_are_refused_however_they_arrive() -> None:
    """P01 to P14, P21 to P23, P30."""
    summary = fuzz.fuzz(FRACTION, seed=20)
    assert summary.breaches > FRACTION // 10
    assert summary.conversations - summary.breaches > FRACTION // 1000
    assert len(summary.reasons) > 20  # the mutations reach many rules, not one


@pytest.mark.fuzz
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1])
def test_a_million_mutated_frames_parse_or_are_refused(seed: int) -> None:
    assert fuzz.fuzz(WHOLE, seed).frames >= WHOLE


def test_a_case_is_the_same_again_from_its_seed() -> None:
    first, second = (fuzz.mutated(seeded(7)) for _ in range(2))
    assert first == second
    assert msgspec.msgpack.encode(first[0])
