"""What is read back of a resource limit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from llmspell_workers.containment import _rlimits as rlimits

WANTED = (2, 4)
INFINITY = -1


@pytest.mark.parametrize(
    ("found", "is_enough"),
    [
        ((2, 4), True),
        ((1, 3), True),
        ((3, 4), False),
        ((2, 5), False),
        ((INFINITY, 4), False),
        ((2, INFINITY), False),
    ],
)
def test_a_limit_that_reads_back_higher_is_none(
    found: tuple[int, int], is_enough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = SimpleNamespace(prlimit=lambda process, limit: found, RLIM_INFINITY=INFINITY)
    monkeypatch.setattr(rlimits, "resource", kernel)
    if is_enough:
        rlimits._read_back({7: WANTED})
        return
    with pytest.raises(OSError, match="resource limit 7 reads back as"):
        rlimits._read_back({7: WANTED})
