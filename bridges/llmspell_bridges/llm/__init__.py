"""The bridge `llm`. Imports nothing heavy: litellm comes with the first call of a model."""

from __future__ import annotations

from .._secret import Secret
from ._bridge import LlmBridge
from ._config import LlmConfig, ProviderConfig
from ._types import (
    CompletionRequest,
    CompletionResponse,
    EmbedRequest,
    EmbedResponse,
    Message,
    TokenUsage,
)

__all__ = [
    "CompletionRequest",
    "CompletionResponse",
    "EmbedRequest",
    "EmbedResponse",
    "LlmBridge",
    "LlmConfig",
    "Message",
    "ProviderConfig",
    "Secret",
    "TokenUsage",
]
