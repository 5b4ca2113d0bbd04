"""The bridge `workflow`. Imports nothing heavy: LangGraph comes with the first run."""

from __future__ import annotations

from ._bridge import WorkflowBridge
from ._config import WorkflowConfig

__all__ = ["WorkflowBridge", "WorkflowConfig"]
