"""The attack suite takes a minute as each user: once, wherever its tests run."""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that read the same report run in the same process."""
    if isinstance(item, pytest.Function) and "report_of" in item.fixturenames:
        user = item.callspec.params["user"]
        item.add_marker(pytest.mark.xdist_group(f"attacks as {user}"))
