"""A search server on loopback, in the form of SearXNG."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


class SearchServer:
    """Finds nine pages about anything; listens between `__enter__` and `__exit__`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """The queries that have arrived."""
        self.status = 200
        self.pages: list[dict[str, str]] | None = None
        """What is found in place of the nine."""

    def __enter__(self) -> Self:
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="search-server"
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, query: str) -> dict[str, Any]:
        """What is found; called by the server's threads."""
        self.asked.append(query)
        found = [
            {
                "title": f"Page {n}",
                "url": f"https://pages.example/{n}",
                "content": f"About {query}, part {n}",
            }
            for n in range(9)
        ]
        return {"results": found if self.pages is None else self.pages}


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: SearchServer


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests read `asked`."""

    def do_GET(self) -> None:
        """A search."""
        query = parse_qs(urlsplit(self.path).query).get("q", [""])[0]
        body = json.dumps(self.server.owner.answer(query)).encode()
        self.send_response(self.server.owner.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
