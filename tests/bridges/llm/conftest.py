"""What all tests of `llm` need."""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """pytest resets the filters that the bridge sets for litellm; set them for each test.

    In a group, because the process that runs the first of them spends seconds on the import.
    """
    item.add_marker(pytest.mark.xdist_group("litellm"))
    for module in ("pydantic", "litellm", "openai"):
        item.add_marker(pytest.mark.filterwarnings(f"ignore:::{module}"))
