"""Our own engines, held to the contract of all."""

from __future__ import annotations

import pytest

from llmspell_testkit import EngineContract
from llmspell_testkit.contracts import EngineUnderTest


@pytest.fixture(params=["lua", "javascript"])
def ours(request: pytest.FixtureRequest) -> EngineUnderTest:
    return EngineUnderTest.ours(request.param)


class TestOurEngines(EngineContract):
    @pytest.fixture
    def engine(self, ours: EngineUnderTest) -> EngineUnderTest:
        return ours
