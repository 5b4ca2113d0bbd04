"""A million mutated frames with every test run; a hundred times as many by `make fuzz`."""

from __future__ import annotations

import random

import pytest

from llmspell_protocol import State, WorkerMessage
from llmspell_protocol._ledger import Ledger
from tests.protocol import fuzz, judge
from tests.protocol.conversations import BODIES, CONVERSATIONS, FOREIGN
from tests.protocol.fuzz_corpus import CORPUS, corpus
from tests.protocol.helpers import framed
from tests.protocol.mutations import MUTATIONS

seeded = random.Random

FRAMES = 1_000_000
SHARES = 8
"""Tests that mutate them: as many as let the processes of the suite end at about the same time."""
START = judge.STAGES[0]


def test_the_conversations_that_are_mutated_are_legal_themselves() -> None:
    for messages, bodies in zip(CONVERSATIONS, BODIES, strict=True):
        data = framed(*bodies)
        outcome = judge.judge(START, data, fuzz.single(data))
        assert outcome == (messages, "", State.DONE)


def test_the_conversations_hold_every_message_of_a_worker() -> None:
    said = {type(m) for messages in CONVERSATIONS for m in messages}
    assert said == set(WorkerMessage.__args__)


def test_a_host_put_into_a_conversation_is_one_that_has_heard_it() -> None:
    """`twin` knows all that a ledger holds, and a host that refused a frame is as it was."""
    assert set(Ledger.__slots__) == {
        "_calls", "_caps", "_ended", "_invocations", "_invoked", "_last_call",
    }  # fmt: skip
    stages = iter(judge.STAGES)
    for messages, bodies in zip(CONVERSATIONS, BODIES, strict=True):
        for at in range(len(bodies)):
            stage, rest = next(stages), framed(*bodies[at:])
            assert stage.outcome((b"\x00\x00\x00\x01\xc1",))[2] is State.ERROR
            for _ in range(2):
                assert stage.outcome((rest,)) == (messages[at:], "", State.DONE)


def test_every_mutation_changes_most_bodies() -> None:
    body = BODIES[0][1]
    for mutate in MUTATIONS:
        changed = 0
        for seed in range(50):
            copy = bytearray(body)
            mutate(copy, seeded(seed))
            changed += bytes(copy) != body
        assert changed > 25, mutate.__name__


def test_a_case_is_the_same_again_from_its_seed() -> None:
    first, second = ([data for _, data, _ in fuzz.cases(7, 3)] for _ in range(2))
    assert first == second
    assert first != [data for _, data, _ in fuzz.cases(7, 4)]


def test_no_case_is_the_lawful_course() -> None:
    for stage, data, _ in fuzz.cases(1, 0):
        assert data != framed(stage.due) + stage.after


def test_the_fuzzer_finds_an_outcome_that_depends_on_the_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fuzzer itself can fail: it is given a splitter that loses a byte."""

    def losing(data: bytes, _rng: random.Random) -> list[bytes]:
        return [data[:20], data[21:]]

    monkeypatch.setattr(fuzz, "pieces", losing)
    with pytest.raises(judge.Broken, match="--seed 1 --batch 0"):
        fuzz.fuzz(1, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.attack(
    "P01", "P04", "P05", "P06", "P07", "P08", "P09", "P10", "P11", "P12", "P13", "P14", "P21",
    "P22", "P30",
)  # fmt: skip
@pytest.mark.parametrize("seed", range(SHARES))
def test_mutated_bytes_parse_or_are_refused_however_they_arrive(seed: int) -> None:
    share = FRAMES // SHARES
    summary = fuzz.fuzz(share, seed=20 + seed)
    assert summary.frames >= share
    assert summary.parsed > share // 1000
    assert len(summary.refused) > 40  # the mutations reach many rules, not one


def test_the_corpus_of_the_guided_fuzzer_is_small_and_made_of_the_conversations() -> None:
    assert {p.name: p.read_bytes() for p in CORPUS.iterdir()} == corpus()
    assert sum(map(len, corpus().values())) < 8000
    assert len(corpus()) == sum(map(len, BODIES)) + len(BODIES) + len(FOREIGN)
