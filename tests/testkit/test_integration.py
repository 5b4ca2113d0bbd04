"""Spells, engines, bridges and a model together."""

from __future__ import annotations

import pytest

from llmspell_testkit import EchoBridge, IntegrationContract, load_cases
from llmspell_testkit._cases import FOLDER
from llmspell_testkit.contracts import Integration


@pytest.mark.xdist_group("litellm")
class TestAModelAndABridge(IntegrationContract):
    @pytest.fixture
    def integration(self) -> Integration:
        return Integration(load_cases(FOLDER / "model.toml"), (EchoBridge(),))
