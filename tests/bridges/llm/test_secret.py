"""A key shows in no text that a program makes of it by accident."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest

from llmspell_bridges.llm._routing import Route
from llmspell_bridges.llm._secret import MASK, Secret, redact

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
    assert redact(text, Secret(CANARY)) == f"{MASK}, {MASK}, other words"
