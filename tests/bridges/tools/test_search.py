"""`web_search`: against a SearXNG-shaped server on loopback, and without a provider or a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bridges.tools.host import call, refused, tools_host
from tests.support.search_server import SearchServer

pytestmark = [
    pytest.mark.xdist_group("litellm"),
    *(pytest.mark.filterwarnings(f"ignore:::{m}") for m in ("pydantic", "litellm", "openai")),
]


@pytest.fixture
def search() -> Iterator[SearchServer]:
    """A search server on loopback."""
    with SearchServer() as running:
        yield running


def settings(server: SearchServer) -> dict[str, Any]:
    """The config of a host whose provider is the server."""
    return {"search_provider": "searxng", "search_url": server.url}


def test_it_finds_pages(search: SearchServer) -> None:
    found = call("web_search", {"query": "owls", "max_results": 2}, tools_host(settings(search)))
    latency = found["query_metadata"].pop("latency_ms")
    assert latency >= 0
    assert found == {
        "results": [
            {"title": "Page 0", "url": "https://pages.example/0", "snippet": "About owls, part 0"},
            {"title": "Page 1", "url": "https://pages.example/1", "snippet": "About owls, part 1"},
        ],
        "query_metadata": {"query": "owls", "provider": "searxng", "count": 2},
    }
    assert search.asked == ["owls"]


def test_the_number_of_pages_has_a_default(search: SearchServer) -> None:
    assert len(call("web_search", {"query": "owls"}, tools_host(settings(search)))["results"]) == 5


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"query": ""}, "query"),
        ({"query": "x", "max_results": 21}, "max_results"),
        ({"query": "x", "filter": {"domain": ["a"]}}, "filter.domain"),
        ({"query": "x", "filter": {"country": "Switzerland"}}, "filter.country"),
    ],
)
def test_nonsense_is_refused_by_its_name(arguments: Any, field: str) -> None:
    assert refused("web_search", arguments)[::2] == ("Validation", field)


def test_a_server_that_fails_is_an_error_of_its_kind(search: SearchServer) -> None:
    search.status = 503
    assert refused("web_search", {"query": "x"}, tools_host(settings(search)))[0] == "Provider"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "web_search: nobody searches: set search_provider under [tools] in the config file"),
        ({"search_provider": "tavily"}, "web_search: TAVILY_API_KEY is not set"),
        ({"search_provider": "searxng"}, "web_search: SEARXNG_API_BASE is not set"),
        (
            {"search_provider": "tavily", "search_key_env": "MY_SEARCH_KEY"},
            "web_search: MY_SEARCH_KEY is not set: export it",
        ),
    ],
)
def test_what_is_missing_is_a_configuration_error(
    given: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TAVILY_API_KEY", "SEARXNG_API_BASE", "MY_SEARCH_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert refused("web_search", {"query": "x"}, tools_host(given)) == (
        "Configuration",
        message,
        None,
    )
    host = tools_host(given)
    health = host.run(lambda: host.call("tools.health", "web_search"))
    assert health == {"healthy": False, "message": message.removeprefix("web_search: ")}


def test_an_unknown_provider_is_refused_with_those_that_there_are() -> None:
    _, message, _ = refused("web_search", {"query": "x"}, tools_host({"search_provider": "goggle"}))
    assert "no search_provider 'goggle'" in message
    assert "searxng" in message


def test_plain_http_to_another_machine_is_refused() -> None:
    given = {"search_provider": "searxng", "search_url": "http://search.example"}
    assert refused("web_search", {"query": "x"}, tools_host(given))[0] == "Policy"


@pytest.mark.attack("B20")
def test_a_key_that_the_server_echoes_is_masked(
    search: SearchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SEARCH_KEY", "canary-search-key")
    page = {
        "title": "canary-search-key",
        "url": "https://x.example",
        "content": "canary-search-key",
    }
    search.pages = [page]
    given = {**settings(search), "search_key_env": "MY_SEARCH_KEY"}
    assert "canary-search-key" not in str(call("web_search", {"query": "x"}, tools_host(given)))
