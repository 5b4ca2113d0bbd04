"""Contracts: what every engine, bridge and policy is held to, as classes of tests.

    class TestConvert(BridgeContract):
        @pytest.fixture
        def bridge(self) -> Bridge:
            return ConvertBridge(ConvertConfig())

A subclass gives one fixture and inherits the tests. Anything more that is true of it, it tests itself.
"""

from __future__ import annotations

from ._bridge import BridgeContract
from ._engine import EngineContract, EngineUnderTest
from ._example import Example
from ._integration import Integration, IntegrationContract
from ._policy import PolicyContract

__all__ = [
    "BridgeContract",
    "EngineContract",
    "EngineUnderTest",
    "Example",
    "Integration",
    "IntegrationContract",
    "PolicyContract",
]
