"""What the checklist says of steps that are no layer's own."""

from __future__ import annotations

import errno
import os
from typing import Any, NoReturn

import pytest

from llmspell_workers.containment import LayerMissing, Layers, self_test
from llmspell_workers.containment import _checklist as checklist
from llmspell_workers.containment import _seccomp as seccomp
from llmspell_workers.containment import _signals as signals

WORDS = os.strerror(errno.EPERM)


def refuse(*_: Any) -> NoReturn:
    raise OSError(errno.EPERM, WORDS)


def test_a_zygote_that_cannot_ask_to_die_with_its_parent_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "die_with_parent", refuse)
    with pytest.raises(LayerMissing) as caught:
        checklist._die_with_parent()
    assert (caught.value.layer, caught.value.reason) == ("parent_death", WORDS)


def test_a_filter_that_does_not_answer_is_told_in_the_kernel_s_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seccomp, "prove", refuse)
    layers = Layers()
    self_test(layers)  # nothing is on that could be proved
    layers.on("seccomp", "by a test")
    with pytest.raises(LayerMissing) as caught:
        self_test(layers)
    assert (caught.value.layer, caught.value.reason) == ("seccomp", WORDS)
