"""What tools are, for the bridge `tools` and for agents. Imports nothing heavy."""

from __future__ import annotations

from ._schema import Schema
from ._script import ScriptTool, ToolOptions
from ._tool import BuiltinTool, Missing, Tool, lacks_package
from ._toolbox import Toolbox, ToolServers, likeness
from ._types import Health, ToolInfo, Validity

__all__ = [
    "BuiltinTool",
    "Health",
    "Missing",
    "Schema",
    "ScriptTool",
    "Tool",
    "ToolInfo",
    "ToolOptions",
    "ToolServers",
    "Toolbox",
    "Validity",
    "lacks_package",
    "likeness",
]
