"""The bridge `notify`: targets, limits, and apprise in a thread."""

from __future__ import annotations

import asyncio
import difflib
import os
import time
from collections import deque
from typing import ClassVar, Final

from .._clock import off_the_clock
from .._context import CallContext
from .._errors import BridgeError
from .._extras import imported
from .._interface import Bridge, BridgeConfig, method
from .._threads import Threads
from ..llm import Secret
from . import _sending
from ._config import NotifyConfig, TargetConfig
from ._types import Message

MINUTE: Final = 60.0


class NotifyBridge(Bridge):
    """Messages to people, at targets that the config names."""

    name: ClassVar[str] = "notify"
    config: ClassVar[type[BridgeConfig]] = NotifyConfig

    def __init__(self, config: NotifyConfig) -> None:
        self._config = config
        self._threads = Threads()
        self._sent: dict[str, deque[float]] = {name: deque() for name in config.targets}

    @method(effect="read")
    def targets(self, ctx: CallContext) -> list[str]:  # noqa: ARG002 - every method takes it
        """Names of the targets that there are."""
        return sorted(self._config.targets)

    @method(effect="send")
    async def send(self, ctx: CallContext, target: str, message: str | Message) -> None:
        """Send a message to a target. A plain string is its body."""
        ctx.note(target=target)
        config = self._named(target)
        if isinstance(message, str):
            if not message:
                raise BridgeError("Validation", "message: it is empty", field="message")
            message = Message(body=message)
        if len(message.body) > config.max_body:
            said = (
                f"body: {len(message.body)} characters; the limit is {config.max_body} (max_body)"
            )
            raise BridgeError("Limit", said, field="body")
        url = _address(target, config)
        await imported("data", "apprise")
        with off_the_clock():
            await asyncio.to_thread(_sending.warm_up)
        self._count(target, config)
        found, tls = message, ctx.policy.require_tls
        await self._threads.run(lambda job: _sending.send(job, target, url, found, require_tls=tls))

    def _named(self, target: str) -> TargetConfig:
        known = self._config.targets
        if target in known:
            return known[target]
        near = difflib.get_close_matches(target, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        message = f"target: the config names no target '{target}'{hint}"
        raise BridgeError("Configuration", message, field="target")

    def _count(self, target: str, config: TargetConfig) -> None:
        """Take one of the minute's messages; whether it arrives or not."""
        sent, now = self._sent[target], time.monotonic()
        while sent and sent[0] <= now - MINUTE:
            sent.popleft()
        if len(sent) >= config.per_minute:
            wait = sent[0] + MINUTE - now
            message = f"{target}: {config.per_minute} messages in a minute (per_minute)"
            raise BridgeError("RateLimit", message, retryable=True, retry_after=wait)
        sent.append(now)


def _address(target: str, config: TargetConfig) -> Secret:
    value = os.environ.get(config.url_env)
    if not value:
        raise BridgeError("Configuration", f"{target}: {config.url_env} is not set: export it")
    return Secret(value)
