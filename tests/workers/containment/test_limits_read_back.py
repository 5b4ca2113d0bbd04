"""Limits that do not hold are noticed before a script is sent."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from tests.workers.containment.jailed import Spawn, spawned

pytestmark = pytest.mark.root


def ignore_limits() -> None:
    """From here on the kernel says yes to every limit, and sets none."""
    real: Callable[..., tuple[int, int]] = resource.prlimit

    def deaf(pid: int, limit: int, *_: Any) -> tuple[int, int]:
        return real(pid, limit)

    patch.object(resource, "prlimit", deaf).start()  # the process that it is in ends with the test


@pytest.mark.parametrize(
    ("layer", "spawn"),
    [
        ("zygote_limits", Spawn(in_host=ignore_limits)),
        ("rlimits", Spawn(in_jail=ignore_limits)),
        ("rlimits_closed", Spawn(engine=ignore_limits)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "degraded"])
def test_a_limit_that_reads_back_as_another_ends_the_worker(
    layer: str, spawn: Spawn, strict: bool
) -> None:
    with spawned(Spawn(**{**vars(spawn), "strict": strict})) as worker:
        assert worker.report["missing"] == layer
        assert "reads back as" in worker.report["text"]
