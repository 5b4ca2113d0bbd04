"""`http` against servers that send too much, and spells that send what they may not."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.http._pace import Pace
from tests.bridges.http.stage import ask, host_of, refusal
from tests.support.web_server import Reply, Request, WebServer, page

MIB = 1 << 20
BOMB = gzip.compress(b"\0" * (64 * MIB))


def endless(_: Request) -> Iterator[bytes]:
    """A body that says no length and does not end."""
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while True:
        yield b"x" * 65536


def chunks(_: Request) -> Iterator[bytes]:
    """Chunks without end."""
    yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b"x" * 65536 + b"\r\n"


def nothing_for_ever(_: Request) -> Iterator[bytes]:
    """Compressed data that brings nothing, without end: members of gzip that are empty."""
    yield b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"
    while True:
        yield gzip.compress(b"") * 2000


def endless_headers(_: Request) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"a: b\r\n" * 1000


def early_hints(_: Request) -> Iterator[bytes]:
    """Answers that are none, without end."""
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\n\r\n"


def drip(_: Request) -> Iterator[bytes]:
    """A byte now and then: never late enough for a timeout of its own."""
    yield b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"
    while True:
        time.sleep(0.02)
        yield b"x"


def nested() -> bytes:
    return page(gzip.compress(BOMB), content_encoding="gzip, gzip")


ENCODED: dict[str, Any] = {"content_encoding": "gzip"}
MANY: dict[str, Any] = {f"h{n}": "x" for n in range(1000)}
TOO_MUCH: tuple[tuple[str, Reply, str], ...] = (
    ("an endless body", endless, "Limit"),
    ("endless chunks", chunks, "Limit"),
    ("a length of an exabyte", b"HTTP/1.1 200 OK\r\ncontent-length: 1152921504606846976\r\n\r\n"
     + b"x" * (3 * MIB), "Limit"),
    ("a bomb", page(BOMB, **ENCODED), "Limit"),
    ("a bomb in deflate", page(zlib.compress(b"\0" * (64 * MIB)), content_encoding="deflate"), "Limit"),
    ("a bomb in a bomb", nested(), "Serialization"),
    ("brotli that was not asked for", page(b"x", content_encoding="br"), "Serialization"),
    ("zstd that was not asked for", page(b"x", content_encoding="zstd"), "Serialization"),
    ("nothing, for ever", nothing_for_ever, "Limit"),
    ("a thousand headers", page(b"", **MANY), "Limit"),
    ("headers without end", endless_headers, "Provider"),
    ("a header of a megabyte", page(b"", big="x" * MIB), "Provider"),
    ("hints without end", early_hints, "Timeout"),
    ("a drip", drip, "Timeout"),
    ("half a body", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf", "Provider"),
    ("half a compressed body", page(gzip.compress(b"x" * 999)[:-9], **ENCODED), "Serialization"),
    ("what is not compressed", page(b"plain", **ENCODED), "Serialization"),
    ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", "Provider"),
)  # fmt: skip


@pytest.mark.attack("B11")
@pytest.mark.parametrize(("reply", "kind"), [p[1:] for p in TOO_MUCH], ids=[p[0] for p in TOO_MUCH])
def test_a_server_that_sends_too_much_is_cut_off(reply: Reply, kind: str) -> None:
    with WebServer({"/": reply}) as server:
        patience = 0.5 if kind == "Timeout" else 20
        error = refusal(server, "get", "/", {"timeout": patience}, max_response=2 * MIB)
    assert error.kind == kind, error


@pytest.mark.attack("B11")
def test_a_stream_is_cut_off_as_well() -> None:
    for reply in (endless, page(BOMB, **ENCODED)):
        with WebServer({"/": reply}) as server:
            host = host_of(server, max_response=2 * MIB)
            url = f"http://127.0.0.1:{server.port}/"
            with pytest.raises(BridgeError) as caught:
                host.run(lambda: host.drain("http.stream", url, {"expect": "bytes"}))  # noqa: B023
        assert caught.value.kind == "Limit"


@pytest.mark.attack("B11")
def test_a_bomb_is_told_by_its_ratio_before_it_fills_the_limit() -> None:
    with WebServer({"/": page(gzip.compress(b"\0" * (8 * MIB)), **ENCODED)}) as server:
        error = refusal(server, "get", "/", max_response=16 * MIB)
    assert (error.kind, "one part in 200" in error.message) == ("Limit", True)


def test_repetitive_data_that_is_small_enough_is_unpacked() -> None:
    with WebServer({"/": page(gzip.compress(b"x" * 900_000), **ENCODED)}) as server:
        assert len(ask(server, "get", "/")["body"]) == 900_000


HEADERS: tuple[dict[str, str], ...] = (
    {"X": "a\r\nHost: evil.example"},
    {"X": "a\nb"},
    {"X": "a\rb"},
    {"X": "a\0b"},
    {"X": "a\x0bb"},
    {"X": "Gr\u00fc\u00dfe"},
    {"X": "\u560a\u560dHost: evil"},  # whose lower bytes are a line break
    {"X\r\nHost": "a"},
    {"X: a\r\nY": "b"},
    {"": "a"},
    {"a b": "c"},
    {"X:": "c"},
    {"\u212aey": "c"},  # a Kelvin sign, which lower-cases to k
    {"Host": "evil.example"},
    {"HOST": "evil.example"},
    {"Content-Length": "0"},
    {"Transfer-Encoding": "chunked"},
    {"transfer-encoding": "identity"},
    {"Connection": "close, authorization"},
    {"Keep-Alive": "1"},
    {"Proxy-Authorization": "x"},
    {"Proxy-Connection": "x"},
    {"TE": "trailers"},
    {"Trailer": "x"},
    {"Upgrade": "websocket"},
    {"Expect": "100-continue"},
    {"Accept-Encoding": "br"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"a": "1", "A": "2"},
    {f"h{n}": "x" for n in range(65)},
    {"big": "x" * 20_000},
)


@pytest.mark.attack("B10")
@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: ascii(headers)[:40])
def test_a_header_that_is_not_the_spells_is_refused(headers: dict[str, str]) -> None:
    with WebServer({"/": page(b"x")}) as server:
        error = refusal(server, "get", "/", {"headers": headers})
        assert error.kind == "Validation"
        assert (error.field or "").startswith("headers")
        assert server.connections == 0


@pytest.mark.attack("B10")
def test_nothing_but_the_request_is_on_the_wire() -> None:
    with WebServer({"/x": page(b"x")}) as server:
        ask(server, "get", "/x?a=%0d%0aHost:%20evil", {"query": {"b": "\r\nHost: evil"},
            "headers": {"X-Mine": " padded "}})  # fmt: skip
    [request] = server.requests
    assert request.head.split(b"\r\n") == [
        b"GET /x?a=%0d%0aHost:%20evil&b=%0D%0AHost%3A+evil HTTP/1.1",
        f"host: 127.0.0.1:{server.port}".encode(),
        b"user-agent: llmspell-supervisor",
        b"accept: */*",
        b"x-mine: padded",
        b"accept-encoding: gzip, deflate",
        b"",
    ]


@pytest.mark.attack("B12")
def test_a_run_sends_no_more_than_it_may() -> None:
    with WebServer({"/": page(b"x")}) as server:
        host = host_of(server, settings={"max_sent": 5000})
        url = f"http://127.0.0.1:{server.port}/"

        async def work() -> list[BridgeError]:
            await host.call("http.post", url, {"body": "x" * 3000})
            errors = []
            for options in ({"body": "x" * 3000}, {"query": {"q": "x" * 3000}},
                            {"headers": {"q": "x" * 3000}}):  # fmt: skip
                with pytest.raises(BridgeError) as caught:
                    await host.call("http.post", url, options)
                errors.append(caught.value)
            await host.call("http.post", url, {"body": "x" * 1000})
            return errors

        errors = host.run(work)
    assert {error.kind for error in errors} == {"Limit"}
    assert "max_sent, 5000 bytes under [http]" in errors[0].message
    assert [len(request.body) for request in server.requests] == [3000, 1000]


@pytest.mark.attack("B12")
@pytest.mark.parametrize("options", [{}, {"body": "x" * 99}, {"query": {"q": "Grüße"}}])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_every_byte_that_is_sent_is_counted(method: str, options: dict[str, Any]) -> None:
    with WebServer({"/": page(b"x")}) as server:
        ask(server, method, "/", options)
        [request] = server.requests
        size = len(request.head) + len(b"\r\n") + len(request.body)
        ask(server, method, "/", options, settings={"max_sent": size})
        error = refusal(server, method, "/", options, settings={"max_sent": size - 1})
        assert f"needs {size}" in error.message
        assert len(server.requests) == 2


def test_a_host_is_asked_no_faster_than_the_operator_wants() -> None:
    with WebServer({"/": page(b"x")}) as server:
        host = host_of(server, settings={"rate": 0.01, "burst": 2})
        url = f"http://127.0.0.1:{server.port}/"

        async def work() -> BridgeError:
            await host.call("http.get", url)
            await host.call("http.get", url)
            with pytest.raises(BridgeError) as caught:
                await host.call("http.get", url)
            return caught.value

        error = host.run(work)
    assert (error.kind, error.retryable, len(server.requests)) == ("RateLimit", True, 2)
    assert error.retry_after is not None
    assert 90 < error.retry_after <= 100


def test_the_pace_spreads_requests_and_forgets_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace(2, 2)
    assert [pace.reserve("a", 9) for _ in range(4)] == [0, 0, 0.5, 1.0]
    assert pace.reserve("b", 9) == 0
    with pytest.raises(BridgeError):
        pace.reserve("a", 1)
    now[0] += 2
    assert [pace.reserve("a", 9) for _ in range(3)] == [0, 0, 0.5]
    now[0] += 100
    for number in range(3000):
        pace.reserve(f"host{number}", 9)
        now[0] += 1
    assert len(pace._due) <= 1024


@pytest.mark.parametrize("timeout", [0.2, None])
def test_a_silent_server_is_not_waited_for_beyond_the_timeout(timeout: float | None) -> None:
    over = threading.Event()

    def silent(_: Request) -> Iterator[bytes]:
        over.wait(10)
        yield b""

    with WebServer({"/": silent}) as server:
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        error = refusal(server, "get", "/", options, request_timeout=0.2)
        over.set()
    assert (error.kind, error.retryable) == ("Timeout", True)
    assert error.duration == pytest.approx(0.2, abs=0.01)
