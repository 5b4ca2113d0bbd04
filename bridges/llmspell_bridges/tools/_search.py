"""Searching the web: the operator says who does it, litellm knows how."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import UNSET

from .._clock import off_the_clock
from .._context import CallContext
from .._domains import is_loopback
from .._errors import BridgeError
from ._types import QueryMetadata, SearchFilter, SearchResponse, SearchResult

if TYPE_CHECKING:
    from ..llm._routing import Route
    from ._config import ToolsConfig


async def missing(config: ToolsConfig) -> str:
    """What a search lacks here, and how to get it; empty if nothing."""
    if config.search_provider is None:
        return "nobody searches: set search_provider under [tools] in the config file"
    name = config.search_key_env
    if name is not None and not os.environ.get(name):
        return f"{name} is not set: export it"
    await _litellm()
    return await asyncio.to_thread(_missing, config)


async def search(
    config: ToolsConfig, ctx: CallContext, query: str, most: int, wanted: SearchFilter
) -> SearchResponse:
    """Up to `most` pages. Raises `BridgeError`."""
    from .._secret import masked
    from ..llm._errors import explain

    if lack := await missing(config):
        raise BridgeError("Configuration", f"web_search: {lack}")
    route = _route(config)
    _require_tls(route, ctx)
    litellm = await _litellm()
    began, timeout = time.monotonic(), ctx.call_timeout()
    try:
        async with asyncio.timeout(timeout):
            raw = await litellm.asearch(
                query=query,
                search_provider=route.provider,
                max_results=most,
                search_domain_filter=wanted.domains or None,
                country=wanted.country,
                api_key=route.key.reveal() if route.key else None,
                api_base=route.api_base,
                timeout=timeout,
            )
    except Exception as error:
        raise explain(error, route, timeout) from error
    results = [_result(found) for found in raw.results[:most]]
    latency = round((time.monotonic() - began) * 1000)
    about = QueryMetadata(
        query=query, provider=route.provider, count=len(results), latency_ms=latency
    )
    return masked(SearchResponse(results=results, query_metadata=about), route.hidden)


async def _litellm() -> Any:
    from ..llm import _library

    with off_the_clock():
        return await _library.litellm()


def _missing(config: ToolsConfig) -> str:
    from litellm.types.utils import SearchProviders
    from litellm.utils import ProviderConfigManager

    names = sorted(provider.value for provider in SearchProviders)
    if config.search_provider not in names:
        return (
            f"there is no search_provider '{config.search_provider}'; there are: {', '.join(names)}"
        )
    provider = ProviderConfigManager.get_provider_search_config(
        SearchProviders(config.search_provider)
    )
    assert provider is not None
    route = _route(config)
    try:
        provider.validate_environment(
            headers={},
            api_key=route.key.reveal() if route.key else None,
            api_base=route.api_base,
        )
        provider.get_complete_url(api_base=route.api_base, optional_params={})
    except ValueError as error:  # it names the variable
        return str(error).partition(". ")[0]
    return ""


def _route(config: ToolsConfig) -> Route:
    from .._secret import Secret
    from ..llm._routing import Route

    key = os.environ.get(config.search_key_env) if config.search_key_env else None
    provider = config.search_provider or ""
    return Route(
        name=provider,
        model=provider,
        provider=provider,
        api_base=config.search_url,
        key=Secret(key) if key else None,
        timeout=0.0,
        max_retries=0,
    )


def _require_tls(route: Route, ctx: CallContext) -> None:
    parts = urlsplit(route.api_base or "https:")
    if ctx.policy.require_tls and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        message = f"{route.name}: {parts.hostname} is reached by plain http, and require_tls is on"
        raise BridgeError("Policy", message)


def _result(found: Any) -> SearchResult:
    return SearchResult(
        title=found.title, url=found.url, snippet=found.snippet, date=found.date or UNSET
    )
