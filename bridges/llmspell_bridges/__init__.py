"""Host services that scripts call. Trusted side; imports the protocol and nothing else of ours.

Read in this order: `_interface.py` (how a bridge is declared), `_context.py` (what it is told about
the run), `_errors.py`, `_catalogue.py` (which bridges there are), then one package per bridge.
"""

from __future__ import annotations

from llmspell_protocol import ObjectHandle, ScriptFunction

from ._catalogue import available, load
from ._clock import off_the_clock
from ._context import Budget, CallContext, Calls, PolicyView, Reservation, Script
from ._effects import Effect, Planned
from ._errors import BridgeError, BudgetExceeded, ScriptError, one_line
from ._grants import is_granted
from ._interface import (
    BoundMethod,
    Bridge,
    BridgeConfig,
    BridgeRegistry,
    End,
    MethodInfo,
    Stream,
    method,
)
from ._objects import BridgeObject, RunState, TextAnswer
from ._settled import settled
from ._steps import rest_of

__all__ = [
    "BoundMethod",
    "Bridge",
    "BridgeConfig",
    "BridgeError",
    "BridgeObject",
    "BridgeRegistry",
    "Budget",
    "BudgetExceeded",
    "CallContext",
    "Calls",
    "Effect",
    "End",
    "MethodInfo",
    "ObjectHandle",
    "Planned",
    "PolicyView",
    "Reservation",
    "RunState",
    "Script",
    "ScriptError",
    "ScriptFunction",
    "Stream",
    "TextAnswer",
    "available",
    "is_granted",
    "load",
    "method",
    "off_the_clock",
    "one_line",
    "rest_of",
    "settled",
]
