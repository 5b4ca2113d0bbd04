"""Our own bridges, held to the contract of all."""

from __future__ import annotations

import pytest

from llmspell_bridges import Bridge, load
from llmspell_bridges._catalogue import _OURS
from llmspell_testkit import BridgeContract


@pytest.fixture(params=sorted(_OURS))
def ours(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestOurBridges(BridgeContract):
    @pytest.fixture
    def bridge(self, ours: str) -> Bridge:
        return load(ours)
