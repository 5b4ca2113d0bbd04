"""The bridge `llm`. Imports nothing heavy: litellm comes with the first call of a model."""

from __future__ import annotations

from ._bridge import LlmBridge
from ._config import LlmConfig, ProviderConfig

__all__ = ["LlmBridge", "LlmConfig", "ProviderConfig"]
