"""`http`, when all is well, and what it says when it is not: a real server."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from tests.bridges.http.stage import ask, host_of, refusal
from tests.support.name_server import NameClient, NameServer
from tests.support.web_server import AUTHORITY, Reply, Request, WebServer, page, redirect


def echo(request: Request) -> bytes:
    """What arrived, as JSON."""
    seen = {"method": request.method, "path": request.path, "body": request.body.decode()}
    seen["headers"] = request.headers  # type: ignore[assignment]
    return page(json.dumps(seen).encode(), content_type="application/json")


def latin(_: Request) -> bytes:
    return page("Grüße".encode("latin-1"), content_type="text/plain; charset=ISO-8859-1")


def chunked(_: Request) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    for piece in (b"Gr\xc3", b"\xbc\xc3\x9fe", b"!"):
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


@pytest.fixture
def server() -> Iterator[WebServer]:
    replies: dict[str, Reply] = {
        "/echo": echo,
        "/latin": latin,
        "/chunked": chunked,
        "/hello": page(b"hello", x_one="1", X_Two="2"),
        "/twice": b"HTTP/1.1 200 OK\r\na: 1\r\nA: 2\r\ncontent-length: 0\r\n\r\n",
        "/gzip": page(gzip.compress(b"packed"), content_encoding="gzip"),
        "/members": page(gzip.compress(b"two ") + gzip.compress(b"parts"), content_encoding="gzip"),
        "/deflate": page(zlib.compress(b"packed"), content_encoding="deflate"),
        "/bare": page(zlib.compress(b"packed")[2:-4], content_encoding="deflate"),
        "/moved": redirect("/echo"),
        "/see": redirect("/echo", 303),
        "/same": redirect("/echo?x=1", 307),
        "/bytes": page(b"\x00\xff"),
        "/none": page(b"no", 404),
    }
    with WebServer(replies) as running:
        yield running


def test_an_answer_has_a_status_headers_and_a_body(server: WebServer) -> None:
    assert ask(server, "get", "/hello") == {
        "status": 200,
        "ok": True,
        "url": f"http://127.0.0.1:{server.port}/hello",
        "headers": {"x-one": "1", "x-two": "2", "content-length": "5"},
        "body": "hello",
    }
    assert ask(server, "get", "/twice")["headers"]["a"] == "1, 2"


def test_a_failure_of_the_server_is_an_answer(server: WebServer) -> None:
    found = ask(server, "get", "/none")
    assert (found["status"], found["ok"], found["body"]) == (404, False, "no")


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_every_method_arrives_as_itself(server: WebServer, method: str) -> None:
    found = ask(server, method, "/echo", {"expect": "json"})
    assert found["body"]["method"] == method.upper()


def test_head_and_options_arrive(server: WebServer) -> None:
    server.replies["/head"] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\n"
    assert ask(server, "head", "/head")["headers"]["x"] == "y"
    host = host_of(server)
    url = f"http://127.0.0.1:{server.port}/echo"
    found = host.run(lambda: host.call("http.request", "OPTIONS", url, {"expect": "json"}))
    assert found["body"]["method"] == "OPTIONS"


@pytest.mark.parametrize(
    ("options", "kind", "body"),
    [
        ({"body": "Grüße"}, "text/plain; charset=utf-8", "Grüße"),
        ({"body": b"raw"}, "application/octet-stream", "raw"),
        ({"json": {"a": [1, None]}}, "application/json", '{"a":[1,null]}'),
        ({"json": None}, "application/json", "null"),
        ({"form": {"a": "b c", "n": 1, "t": True}}, "application/x-www-form-urlencoded",
         "a=b+c&n=1&t=true"),
        ({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}, "text/xml", "<a/>"),
    ],
)  # fmt: skip
def test_a_body_is_sent_as_what_it_is(
    server: WebServer, options: dict[str, Any], kind: str, body: str
) -> None:
    seen = ask(server, "post", "/echo", {"expect": "json", **options})["body"]
    assert (seen["headers"]["content-type"], seen["body"]) == (kind, body)


def test_a_query_is_added_to_the_address(server: WebServer) -> None:
    query = {"q": "a b&c", "n": 1, "on": True, "many": ["x", 2]}
    seen = ask(server, "get", "/echo?have=1", {"query": query, "expect": "json"})["body"]
    assert seen["path"] == "/echo?have=1&many=x&many=2&n=1&on=true&q=a+b%26c"


def test_headers_are_sent_and_the_clients_own_are_few(server: WebServer) -> None:
    seen = ask(server, "get", "/echo", {"headers": {"X-Mine": "1"}, "expect": "json"})["body"]
    assert seen["headers"] == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "llmspell-supervisor",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "x-mine": "1",
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [("/gzip", "packed"), ("/members", "two parts"), ("/deflate", "packed"), ("/bare", "packed"),
     ("/latin", "Grüße"), ("/chunked", "Grüße!")],
)  # fmt: skip
def test_a_body_is_unpacked_and_read_as_the_server_says(
    server: WebServer, path: str, body: str
) -> None:
    assert ask(server, "get", path)["body"] == body


def test_bytes_come_as_they_are(server: WebServer) -> None:
    assert ask(server, "get", "/bytes", {"expect": "bytes"})["body"] == b"\x00\xff"
    assert ask(server, "get", "/bytes")["body"] == "\x00\ufffd"
    assert refusal(server, "get", "/bytes", {"expect": "json"}).kind == "Serialization"


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [("/moved", "GET", ""), ("/see", "GET", ""), ("/same", "POST", "x")],
)
def test_a_redirect_is_followed_as_browsers_do(
    server: WebServer, path: str, method: str, body: str
) -> None:
    found = ask(server, "post", path, {"body": "x", "expect": "json"})
    assert (found["body"]["method"], found["body"]["body"]) == (method, body)
    assert ("content-type" in found["body"]["headers"]) == (method == "POST")
    assert found["url"].startswith(f"http://127.0.0.1:{server.port}/echo")


def test_a_redirect_is_an_answer_to_who_follows_none(server: WebServer) -> None:
    found = ask(server, "get", "/moved", {"redirects": 0})
    assert (found["status"], found["headers"]["location"]) == (302, "/echo")


def test_a_stream_brings_pieces_and_ends_with_the_head(server: WebServer) -> None:
    host = host_of(server)
    url = f"http://127.0.0.1:{server.port}/chunked"
    pieces, head = host.run(lambda: host.drain("http.stream", url))
    assert "".join(pieces) == "Grüße!"
    assert (head["status"], head["ok"], head["url"]) == (200, True, url)
    host = host_of(server)
    pieces, _ = host.run(
        lambda: host.drain("http.stream", url, {"expect": "bytes", "method": "POST"})
    )
    assert b"".join(pieces) == "Grüße!".encode()
    assert server.requests[-1].method == "POST"


def test_a_stream_is_read_no_faster_than_the_script_reads(server: WebServer) -> None:
    sent: list[int] = []

    def endless(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            sent.append(1)
            yield b"x" * 65536

    server.replies["/endless"] = endless
    host = host_of(server)

    async def work() -> None:
        stream = host.open("http.stream", f"http://127.0.0.1:{server.port}/endless")
        await anext(stream)
        await stream.aclose()

    host.run(work)
    assert len(sent) < 200  # what the kernel's buffers take; the limit of the answer is not met


def test_connections_are_kept_for_the_run(server: WebServer) -> None:
    host = host_of(server)

    async def work() -> None:
        for _ in range(3):
            await host.call("http.get", f"http://127.0.0.1:{server.port}/hello")

    host.run(work)
    assert (server.connections, len(server.requests)) == (1, 3)


def test_tls_asks_for_the_name_and_checks_it_at_the_address_that_was_checked() -> None:
    zone = {name: [["127.0.0.1"]] for name in ("web.example", "a.web.example", "other.example")}
    with WebServer({"/": page(b"safe")}, tls=True) as server, NameServer(zone) as names:

        def get(name: str, **settings: Any) -> Any:
            host = host_of(
                server,
                settings=settings,
                resolver=NameClient(names.port),
                allow_domain=("web.example", "*.web.example", "other.example"),
            )
            url = f"https://{name}:{server.port}/"
            return host.run(lambda: host.call("http.get", url))["body"]

        assert get("web.example", ca_file=str(AUTHORITY)) == "safe"
        assert get("A.WEB.example.", ca_file=str(AUTHORITY)) == "safe"
        assert server.names == ["web.example", "a.web.example"]
        assert [r.headers["host"] for r in server.requests] == [
            f"web.example:{server.port}", f"a.web.example:{server.port}",
        ]  # fmt: skip
        for name, settings in (("other.example", {"ca_file": str(AUTHORITY)}), ("web.example", {})):
            with pytest.raises(BridgeError, match="certificate was not accepted"):
                get(name, **settings)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("method", "args", "field"),
    [
        ("get", (1,), "url"),
        ("get", ("https://a.example", 1), "options"),
        ("get", ("https://a.example", {"timeot": 1}), "timeot"),
        ("post", ("https://a.example", {"headers": {"a": 1}}), "headers"),
        ("post", ("https://a.example", {"body": [1]}), "body"),
        ("post", ("https://a.example", {"body": "a", "json": 1}), "json"),
        ("put", ("https://a.example", {"form": {"a": None}}), "form"),
        ("patch", ("https://a.example", {"query": {"a": {}}}), "query"),
        ("delete", ("https://a.example", {"redirects": 6}), "redirects"),
        ("head", ("https://a.example", {"timeout": 0}), "timeout"),
        ("request", ("CONNECT", "https://a.example"), "verb"),
        ("get", ("https://a.example", {"expect": "xml"}), "expect"),
    ],
)
def test_what_is_wrong_is_named(method: str, args: tuple[Any, ...], field: str) -> None:
    host = host_of(allow_domain=("a.example",))
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call(f"http.{method}", *args))
    assert caught.value.kind == "Validation"
    assert (caught.value.field or "").startswith(field)


def test_a_server_that_is_not_there_is_a_matter_of_the_network() -> None:
    with WebServer() as gone:
        host = host_of(gone)
    url = f"http://127.0.0.1:{gone.port}/"
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("http.get", url))
    assert (caught.value.kind, caught.value.retryable) == ("Network", True)
    assert "the connection was refused" in caught.value.message


def test_a_server_that_speaks_something_else_is_named() -> None:
    with WebServer({"/": b"SSH-2.0-OpenSSH_9.6\r\n\r\n"}) as server:
        error = refusal(server, "get", "/")
    assert (error.kind, "is not HTTP" in error.message) == ("Provider", True)


def test_a_name_that_nobody_knows_is_a_matter_of_the_network() -> None:
    with NameServer({}) as names:
        host = host_of(resolver=NameClient(names.port), allow_domain=("none.example",))
        with pytest.raises(BridgeError) as caught:
            host.run(lambda: host.call("http.get", "https://none.example/"))
    assert caught.value.kind == "Network"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"allow_private": ["127.0.0.1"]}, "http.allow_private"),
        ({"allow_private": ["localhost:80"]}, "http.allow_private"),
        ({"ca_file": "/nowhere/ca.pem"}, "http.ca_file"),
    ],
)
def test_a_setting_that_is_wrong_is_the_operators_to_mend(
    settings: dict[str, Any], field: str
) -> None:
    host = host_of(settings=settings, allow_domain=("a.example",))
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("http.get", "https://a.example/"))
    assert (caught.value.kind, caught.value.field) == ("Configuration", field)
