"""A web server on loopback that says exactly what it is told, byte by byte.

with WebServer({"/a": page(b"hello")}) as server:
    ...  # ask for http://127.0.0.1:{server.port}/a
    assert server.requests[0].headers["host"]
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TLS = Path(__file__).parent / "tls"
AUTHORITY = TLS / "authority.pem"
"""Signs for web.example and what is below it. Its key is gone; it is good for a hundred years."""


@dataclass(frozen=True)
class Request:
    """What has arrived."""

    method: str
    path: str
    headers: dict[str, str]
    head: bytes
    """All of it up to the body, as it came."""
    body: bytes


Reply = bytes | Callable[[Request], bytes | Iterable[bytes]]
"""Raw bytes of a whole answer; or what makes them, perhaps piece by piece, of the request."""


def page(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """An answer, whole. Underscores in names of headers stand for dashes."""
    lines = [f"HTTP/1.1 {status} Status"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def redirect(location: str, status: int = 302) -> bytes:
    """An answer that leads elsewhere."""
    return page(status=status, location=location)


class WebServer:
    """Serves `replies` by path, and 404 for any other. A thread for each connection."""

    def __init__(
        self, replies: dict[str, Reply] | None = None, *, host: str = "127.0.0.1",
        port: int = 0, tls: bool = False,
    ) -> None:  # fmt: skip
        self.replies = replies or {}
        self.requests: list[Request] = []
        self.connections = 0
        """Also those that never said a word."""
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(TLS / "server.pem", TLS / "server.key")
            self._tls.sni_callback = self._note_name
        self.names: list[str | None] = []
        """What clients said, in TLS, that they wanted."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _note_name(self, _socket: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self.names.append(name)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.callback(self._open.discard, plain)
            stack.enter_context(plain)
            connection = plain
            if self._tls is not None:
                connection = stack.enter_context(self._tls.wrap_socket(plain, server_side=True))
            reader = stack.enter_context(connection.makefile("rb"))
            while request := _read(reader.readline, reader.read):
                self.requests.append(request)
                for piece in self._reply(request):
                    connection.sendall(piece)
                    if b"\r\nconnection: close\r\n" in piece:
                        return

    def _reply(self, request: Request) -> Iterator[bytes]:
        path = request.path.partition("?")[0]
        reply = self.replies.get(path, page(b"nothing here", 404))
        made = reply if isinstance(reply, bytes) else reply(request)
        yield from [made] if isinstance(made, bytes) else made


def _read(line: Callable[[], bytes], read: Callable[[int], bytes]) -> Request | None:
    head = first = line()
    if not first:
        return None
    method, path, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (text := line()) not in (b"\r\n", b""):
        head += text
        name, _, value = text.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = read(int(headers.get("content-length", "0")))
    return Request(method, path, headers, head, body)
