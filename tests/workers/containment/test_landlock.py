"""What is asked of Landlock, by the version that the kernel has."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from llmspell_workers.containment import LayerMissing, Layers
from llmspell_workers.containment import _landlock as landlock

RULESET = 9
EVERYTHING = {
    1: (13, 0, 0, 8),
    2: (14, 0, 0, 8),
    3: (15, 0, 0, 8),
    4: (15, 3, 0, 16),
    5: (16, 3, 0, 16),
    6: (16, 3, 3, 24),
    7: (16, 3, 3, 24),
    100: (16, 3, 3, 24),
}
"""File rights, network rights, scopes, and the size of the struct, for each version of the ABI."""


@pytest.mark.parametrize("abi", EVERYTHING)
def test_all_that_the_kernel_can_forbid_is_forbidden(
    abi: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    closed: list[int] = []

    def syscall(*arguments: Any, what: str) -> int:
        asked.append(arguments)
        return (abi, RULESET, 0)[len(asked) - 1]

    monkeypatch.setattr(landlock, "syscall", syscall)
    monkeypatch.setattr(landlock, "os", SimpleNamespace(close=closed.append))
    monkeypatch.setattr(landlock, "_prove", lambda: None)
    layers = Layers()
    landlock.apply(layers)

    version, create, restrict = asked
    assert version == (444, None, 0, 1)
    number, attributes, size, flags = create
    files, net, scopes, bytes_known = EVERYTHING[abi]
    assert (number, size, flags) == (444, bytes_known, 0)
    assert attributes.files == (1 << files) - 1
    assert (attributes.net, attributes.scoped) == (net, scopes)
    assert (restrict, closed) == ((446, RULESET, 0), [RULESET])
    assert ("no signal scope" in layers.as_dict()["landlock"]) == (scopes == 0)


def test_a_root_that_can_be_opened_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "syscall", lambda *_, what: 7)
    closed: list[int] = []
    fake = SimpleNamespace(
        O_RDONLY=os.O_RDONLY, O_DIRECTORY=os.O_DIRECTORY, open=lambda *_: 5, close=closed.append
    )
    monkeypatch.setattr(landlock, "os", fake)
    with pytest.raises(LayerMissing, match="the root directory can be opened"):
        landlock.apply(Layers())
    assert closed == [7, 5]
