"""Tests of one group run in one process."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

GROUP = "tests of a group"


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], set[str]]:
    """Notes the process that asks, and tells all that have asked."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of the whole run

    def count() -> set[str]:
        (folder / f"group-{os.getpid()}").touch()
        return {path.name for path in folder.glob("group-*")}

    return count


@pytest.mark.xdist_group(GROUP)
@pytest.mark.parametrize("turn", range(6))
def test_a_group_is_not_torn_apart(turn: int, counted: Callable[[], set[str]]) -> None:
    assert counted() == {f"group-{os.getpid()}"}
