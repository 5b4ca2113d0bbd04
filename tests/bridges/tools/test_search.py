"""`web_search`: against a SearXNG-shaped server on loopback, and without a provider or a key."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.bridges.tools.host import call, refused, tools_host

pytestmark = [
    pytest.mark.xdist_group("litellm"),
    *(pytest.mark.filterwarnings(f"ignore:::{m}") for m in ("pydantic", "litellm", "openai")),
]

FOUND = [
    {"title": f"Owl {n}", "url": f"https://owls.example/{n}", "content": f"Owls, part {n}"}
    for n in range(9)
]


class _Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[dict[str, list[str]]]] = []
    answer: ClassVar[bytes] = b""
    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        self.asked.append(parse_qs(urlsplit(self.path).query))
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests read `asked`."""


@pytest.fixture
def search() -> Iterator[type[_Handler]]:
    """A search server; its answer and its status can be set."""

    class Handler(_Handler):
        asked: ClassVar[list[dict[str, list[str]]]] = []
        answer = json.dumps({"results": FOUND}).encode()
        url = ""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Handler
        server.shutdown()
        thread.join()


def settings(handler: Any) -> dict[str, Any]:
    """The config of a host whose provider is the server."""
    return {"search_provider": "searxng", "search_url": handler.url}


def test_it_finds_pages(search: Any) -> None:
    found = call("web_search", {"query": "owls", "max_results": 2}, tools_host(settings(search)))
    latency = found["query_metadata"].pop("latency_ms")
    assert latency >= 0
    assert found == {
        "results": [
            {"title": "Owl 0", "url": "https://owls.example/0", "snippet": "Owls, part 0"},
            {"title": "Owl 1", "url": "https://owls.example/1", "snippet": "Owls, part 1"},
        ],
        "query_metadata": {"query": "owls", "provider": "searxng", "count": 2},
    }
    assert search.asked[0]["q"] == ["owls"]


def test_the_number_of_pages_has_a_default(search: Any) -> None:
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


def test_a_server_that_fails_is_an_error_of_its_kind(search: Any) -> None:
    search.status, search.answer = 503, b"{}"
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
    search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SEARCH_KEY", "canary-search-key")
    page = {
        "title": "canary-search-key",
        "url": "https://x.example",
        "content": "canary-search-key",
    }
    search.answer = json.dumps({"results": [page]}).encode()
    given = {**settings(search), "search_key_env": "MY_SEARCH_KEY"}
    assert "canary-search-key" not in str(call("web_search", {"query": "x"}, tools_host(given)))
