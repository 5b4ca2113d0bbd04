"""What is read back of a resource limit."""

from __future__ import annotations

import resource
from types import SimpleNamespace

import pytest

from llmspell_workers.containment import Layers, Plan
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


def test_each_limit_is_set_to_what_is_wanted_to_the_last_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel: dict[int, tuple[int, int]] = {}

    def prlimit(_: int, limit: int, new: tuple[int, int] | None = None) -> tuple[int, int]:
        before = kernel.get(limit, (INFINITY, INFINITY))
        if new is not None:
            kernel[limit] = new
        return before

    names = {name: value for name, value in vars(resource).items() if name.startswith("RLIM")}
    monkeypatch.setattr(rlimits, "resource", SimpleNamespace(**names, prlimit=prlimit))
    plan = Plan(reader=0, writer=1, memory=1 << 26, cpu=1.5, program=b"", address_space=1 << 27)
    layers = Layers()
    rlimits.apply(plan, layers)
    nothing = dict.fromkeys(rlimits._NOTHING, (0, 0))
    starting = nothing | {
        resource.RLIMIT_DATA: (1 << 26, 1 << 26),
        resource.RLIMIT_CPU: (2, 3),
        resource.RLIMIT_STACK: (8 << 20, 8 << 20),
        resource.RLIMIT_NOFILE: (64, 64),
        resource.RLIMIT_AS: (1 << 27, 1 << 27),
    }
    assert kernel == starting
    rlimits.close(plan, layers)
    assert kernel == starting | {resource.RLIMIT_NOFILE: (0, 0), resource.RLIMIT_NPROC: (0, 0)}
