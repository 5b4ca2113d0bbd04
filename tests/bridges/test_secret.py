"""A key shows in no text that a program makes of it by accident."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest

from llmspell_bridges._secret import MASK, Secret, StreamMask, hidden, masked, redact
from llmspell_bridges.llm._routing import Route
from llmspell_bridges.llm._types import EmbedResponse, ResponseMetadata, TokenUsage

CANARY = "sk-canary-0123456789"


def test_a_secret_does_not_show() -> None:
    secret = Secret(CANARY)
    route = Route(name="a/b", model="b", provider="a", key=secret, timeout=1, max_retries=0)
    for shown in (f"{secret}", f"{secret!r}", f"{[secret]}", repr(route)):
        assert CANARY not in shown
        assert MASK in shown
    assert secret.reveal() == CANARY


@pytest.mark.parametrize(
    "write",
    [pickle.dumps, copy.deepcopy, json.dumps, msgspec.json.encode, msgspec.msgpack.encode],
    ids=["pickle", "copy", "json", "msgspec's json", "msgpack"],
)
def test_a_secret_is_neither_copied_nor_written(write: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        write(Secret(CANARY))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_text_loses_every_key_that_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_TOKEN", f"{CANARY}-and-more")
    text = f"{CANARY}-and-more, {CANARY}, other words"
    values = hidden(Secret(CANARY), {"x-key": "in-a-header"})
    assert redact(text + " in-a-header", values) == f"{MASK}, {MASK}, other words {MASK}"


def test_an_answer_is_masked_in_all_its_depths() -> None:
    answer = EmbedResponse(
        embeddings=[[1.0]], usage=TokenUsage(prompt_tokens=1, completion_tokens=0, total_tokens=1),
        cost=None, model=CANARY, provider="a", metadata=ResponseMetadata(latency_ms=1, attempts=1),
    )  # fmt: skip
    assert masked(answer, (CANARY,)) == msgspec.structs.replace(answer, model=MASK)
    found = masked({CANARY: [1, {"a": f"<{CANARY}>"}]}, (CANARY,))
    assert found == {MASK: [1, {"a": f"<{MASK}>"}]}


@pytest.mark.parametrize("size", [1, 2, 7, len(CANARY), 100])
def test_a_key_is_masked_wherever_a_stream_cuts_it(size: int) -> None:
    text = f"sk-can {CANARY}{CANARY[:-1]} sk-{CANARY} end sk-"
    mask = StreamMask((CANARY,))
    pieces = [mask.feed(text[i : i + size]) for i in range(0, len(text), size)]
    pieces.append(mask.feed("", last=True))
    assert "".join(pieces) == text.replace(CANARY, MASK)


def test_a_stream_is_held_back_no_longer_than_it_may_be_a_key() -> None:
    mask = StreamMask((CANARY,))
    assert [mask.feed(piece) for piece in ("hello", " s", "k", "y")] == ["hello", " ", "", "sky"]
