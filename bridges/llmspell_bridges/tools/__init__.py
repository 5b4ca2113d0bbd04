"""The bridge `tools`. Imports nothing heavy: each library comes with the first tool that needs it."""

from __future__ import annotations

from ._bridge import ToolsBridge
from ._config import ToolsConfig
from ._schema import Schema
from ._script import ScriptTool, ToolOptions
from ._tool import BuiltinTool, Tool
from ._toolbox import Toolbox, likeness
from ._types import ToolInfo, Validity

__all__ = [
    "BuiltinTool",
    "Schema",
    "ScriptTool",
    "Tool",
    "ToolInfo",
    "ToolOptions",
    "Toolbox",
    "ToolsBridge",
    "ToolsConfig",
    "Validity",
    "likeness",
]
