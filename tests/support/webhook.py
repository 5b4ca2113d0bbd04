"""A webhook and a mail server on loopback that keep what they are sent."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """What arrived, and what to answer."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200
    location: str = ""
    """Where a redirect leads."""


@contextmanager
def webhook() -> Iterator[Webhook]:
    """An HTTP server that takes POSTs."""
    seen = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(seen.status)
            if seen.location:
                self.send_header("location", seen.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            seen.bodies.append(b"GET")
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        seen.port = server.server_address[1]
        yield seen


@dataclass
class Mailbox:
    """What arrived."""

    port: int = 0
    mails: list[bytes] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """An SMTP server that takes every mail (RFC 5321, the least of it)."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say(b"220 here")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self._say(b"354 go on")
                    box.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self._say(b"221 bye" if word == b"QUIT" else b"250 fine")
                if word == b"QUIT":
                    return

        def _say(self, text: bytes) -> None:
            self.wfile.write(text + b"\r\n")

    with _running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as server:
        box.port = server.server_address[1]
        yield box


@contextmanager
def _running(server: Any) -> Iterator[Any]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
