"""The command as a person runs it: a real process, with a home of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Command


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    """Runs `llmspell-supervisor ARGUMENT...` in `tmp_path`."""
    return Command({**environment, "COLUMNS": "100"}, tmp_path)
