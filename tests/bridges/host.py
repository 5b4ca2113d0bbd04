"""A host for bridges under test, and one whose provider is a scripted server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_bridges import load
from llmspell_testkit import BridgeHost as Host
from llmspell_testkit._bridge_host import pack
from llmspell_testkit.model_server import ModelServer

__all__ = ["Host", "complete", "llm_host", "pack"]


def llm_host(
    server: ModelServer,
    *,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    **policy: Any,
) -> Host:
    """A host whose provider `test` is `server`; a model there is named `test/NAME`."""
    given = {"providers": {"test": {"base_url": server.base_url}}, **(settings or {})}
    return Host(load("llm", given), model=model, **policy)


def complete(host: Host, request: Any) -> Any:
    """One `llm.complete`."""
    return host.run(lambda: host.call("llm.complete", request))
