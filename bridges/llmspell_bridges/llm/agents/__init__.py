"""Agents of the bridge `llm`. Imports nothing heavy: the library comes with the first run."""

from __future__ import annotations

from ._agent import Agent
from ._conversation import Conversation
from ._types import AgentAnswer, AgentOptions, ConversationOptions, ParallelTask

__all__ = [
    "Agent",
    "AgentAnswer",
    "AgentOptions",
    "Conversation",
    "ConversationOptions",
    "ParallelTask",
]
