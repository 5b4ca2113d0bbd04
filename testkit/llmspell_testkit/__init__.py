"""What engines, bridges and spells are tested with.

    from llmspell_testkit import BridgeContract, EngineContract, ModelServer, Stage

Names are imported when they are first used: who tests a bridge does not wait for Hypothesis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._bridge_host import BridgeHost, run_without_worker
    from ._cases import Case, CaseError, load_cases, load_column
    from ._clock import Clock
    from ._compare import assert_same_everywhere, exact
    from ._compatibility import compatibility_page
    from ._echo import EchoBridge
    from ._environment import Environment
    from ._recording_bridge import InTurn, RecordedCall, RecordingBridge
    from ._speed import Speed, assert_no_slower, measure, measure_case
    from ._stage import Stage
    from .chaos import Chaos, ChaosReport, Plan
    from .contracts import (
        BridgeContract,
        EngineContract,
        EngineUnderTest,
        Example,
        Integration,
        IntegrationContract,
        PolicyContract,
    )
    from .model_script import ModelScript
    from .model_server import ModelServer
    from .strategies import programs, values

_HOMES: Final = {
    "BridgeContract": "contracts",
    "BridgeHost": "_bridge_host",
    "Case": "_cases",
    "CaseError": "_cases",
    "Chaos": "chaos",
    "ChaosReport": "chaos",
    "Clock": "_clock",
    "EchoBridge": "_echo",
    "EngineContract": "contracts",
    "EngineUnderTest": "contracts",
    "Environment": "_environment",
    "Example": "contracts",
    "InTurn": "_recording_bridge",
    "Integration": "contracts",
    "IntegrationContract": "contracts",
    "ModelScript": "model_script",
    "ModelServer": "model_server",
    "Plan": "chaos",
    "PolicyContract": "contracts",
    "RecordedCall": "_recording_bridge",
    "RecordingBridge": "_recording_bridge",
    "Speed": "_speed",
    "Stage": "_stage",
    "assert_no_slower": "_speed",
    "assert_same_everywhere": "_compare",
    "compatibility_page": "_compatibility",
    "exact": "_compare",
    "load_cases": "_cases",
    "load_column": "_cases",
    "measure": "_speed",
    "measure_case": "_speed",
    "programs": "strategies",
    "run_without_worker": "_bridge_host",
    "values": "strategies",
}

__all__ = [
    "BridgeContract",
    "BridgeHost",
    "Case",
    "CaseError",
    "Chaos",
    "ChaosReport",
    "Clock",
    "EchoBridge",
    "EngineContract",
    "EngineUnderTest",
    "Environment",
    "Example",
    "InTurn",
    "Integration",
    "IntegrationContract",
    "ModelScript",
    "ModelServer",
    "Plan",
    "PolicyContract",
    "RecordedCall",
    "RecordingBridge",
    "Speed",
    "Stage",
    "assert_no_slower",
    "assert_same_everywhere",
    "compatibility_page",
    "exact",
    "load_cases",
    "load_column",
    "measure",
    "measure_case",
    "programs",
    "run_without_worker",
    "values",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
