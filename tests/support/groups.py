"""Tests of one `xdist_group` go to one process.

pytest-xdist 3.8 tells its scheduler the group at the end of a test's id, and writes that into a
field which pytest 9.2 does not read any more (pytest-xdist issue 1386): groups are then torn apart,
and nothing says so. `tests/support/test_groups.py` does.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.nodeid import NodeId


def name_groups(items: Iterable[pytest.Item]) -> None:
    """Append the group of each test to its id, where pytest finds it."""
    for item in items:
        if mark := item.get_closest_marker("xdist_group"):
            old = item._id
            parameters = "" if old.params is None else f"[{old.params}]"
            name = f"{old.names[-1]}{parameters}@{mark.args[0]}"
            item._id = NodeId(path=old.path, names=(*old.names[:-1], name))
