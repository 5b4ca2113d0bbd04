"""The bridge `notify`: messages to people, by e-mail, Slack, Discord, webhooks and others."""

from __future__ import annotations

from ._bridge import NotifyBridge
from ._config import NotifyConfig, TargetConfig

__all__ = ["NotifyBridge", "NotifyConfig", "TargetConfig"]
