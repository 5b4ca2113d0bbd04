"""The attack suite runs in parts, each once, wherever the tests that read its report run."""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that read the same report run in the same process."""
    if isinstance(item, pytest.Function) and "report_of" in item.fixturenames:
        user, part = (item.callspec.params[name] for name in ("user", "part"))
        item.add_marker(pytest.mark.xdist_group(f"attacks: {part} as {user}"))
