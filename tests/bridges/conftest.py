"""Fixtures of the bridges' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmspell_testkit.model_server import ModelServer


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """An OpenAI-compatible server on loopback."""
    with ModelServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_keys_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
