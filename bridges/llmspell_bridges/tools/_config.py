"""The `[tools]` section of the config file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .._interface import BridgeConfig

EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s@]+$")]


class ToolsConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which tools spells and their agents may use, and who searches the web for them."""

    allow: Annotated[
        tuple[str, ...], Meta(description="built-in tools that there are; * in a name is anything")
    ] = ("*",)
    deny: Annotated[tuple[str, ...], Meta(description="built-in tools that there are not")] = ()
    parse_seconds: Annotated[
        int, Meta(ge=1, le=60, description="seconds of computing for one page, PDF or query")
    ] = 8
    search_provider: Annotated[
        str | None,
        Meta(description="who searches the web, as litellm names it: brave, tavily, searxng, ..."),
    ] = None
    search_url: Annotated[
        Url | None, Meta(description="address of a search server of your own")
    ] = None
    search_key_env: Annotated[
        EnvName | None, Meta(description="environment variable that holds the search key")
    ] = None
