"""Secrets go where they are meant to go, and are seen nowhere else."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from llmspell_bridges import BridgeError
from tests.bridges.http.stage import ask, host_of, refusal
from tests.support.web_server import Request, WebServer, page, redirect

TOKEN = 'tk-Canary/+&<" 0123>>>???456789'  # noqa: S105 - a canary


@pytest.fixture(autouse=True)
def _set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", TOKEN)
    monkeypatch.setenv("SHORT_TOKEN", "abc")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


def secrets(server: WebServer, **changed: Any) -> dict[str, Any]:
    """Settings with one secret, `mine`, for everything on `server`."""
    mine = {"value_env": "TEST_TOKEN", "scheme": "http", "host": "127.0.0.1", "port": server.port}
    return {"secrets": {"mine": {**mine, **changed}}}


AUTH = {"auth": "mine"}


@pytest.mark.parametrize(
    ("changed", "name", "value"),
    [
        ({}, "authorization", f"Bearer {TOKEN}"),
        ({"header": "X-Api-Key", "format": "{}"}, "x-api-key", TOKEN),
        ({"format": "Basic {base64}"}, "authorization",
         f"Basic {base64.b64encode(TOKEN.encode()).decode()}"),
        ({"prefix": "/v1"}, "authorization", f"Bearer {TOKEN}"),
    ],
)  # fmt: skip
def test_the_server_that_it_is_meant_for_gets_it(
    server: WebServer, changed: dict[str, Any], name: str, value: str
) -> None:
    server.replies["/v1/x"] = page(b"ok")
    assert ask(server, "get", "/v1/x", AUTH, settings=secrets(server, **changed))["body"] == "ok"
    assert server.requests[0].headers[name] == value


def test_without_auth_it_is_not_sent(server: WebServer) -> None:
    ask(server, "get", "/", settings=secrets(server))
    assert TOKEN.encode() not in server.requests[0].head


@pytest.mark.attack("B19")
@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"host": "other.example"}, "/"),
        ({"host": "127.0.0.2"}, "/"),
        ({"port": 1}, "/"),
        ({"port": None}, "/"),
        ({"scheme": "https"}, "/"),
        ({"prefix": "/v1"}, "/"),
        ({"prefix": "/v1"}, "/v1x"),
        ({"prefix": "/v1"}, "/V1/x"),
        ({"prefix": "/v1"}, "/v1/../v2"),
        ({"prefix": "/v1"}, "/v1/%2e%2e/v2"),
        ({"prefix": "/v1"}, "/v1/..%2fv2"),
        ({"prefix": "/v1"}, "/v1/x%5c..%5cv2"),
        ({"prefix": "/v1"}, "//v1/x"),
        ({"prefix": "/v1"}, "/?/v1/x"),
    ],
)
def test_it_is_sent_to_no_other_server_and_no_other_path(
    server: WebServer, changed: dict[str, Any], path: str
) -> None:
    error = refusal(server, "get", path, AUTH, settings=secrets(server, **changed))
    assert (error.kind, error.field) == ("Policy", "auth")
    assert "is not sent elsewhere" in error.message
    assert server.connections == 0


@pytest.mark.attack("B19")
def test_it_does_not_follow_a_redirect_to_elsewhere(server: WebServer) -> None:
    with WebServer({"/end": page(b"end")}) as other:
        server.replies |= {
            "/v1/away": redirect(f"http://127.0.0.1:{other.port}/end", 307),
            "/v1/near": redirect("/v1/end", 307),
            "/v1/up": redirect("/v1/../end", 307),
            "/v1/end": page(b"end"),
            "/end": page(b"end"),
        }
        settings = secrets(server, prefix="/v1")
        settings["allow_private"] = [f"127.0.0.1:{s.port}" for s in (server, other)]
        for path in ("/v1/away", "/v1/near", "/v1/up"):
            assert ask(server, "get", path, AUTH, settings=settings)["body"] == "end"
    assert "authorization" not in other.requests[0].headers
    sent = [(r.path, "authorization" in r.headers) for r in server.requests]
    assert sent == [
        ("/v1/away", True), ("/v1/near", True), ("/v1/end", True), ("/v1/up", True), ("/end", False),
    ]  # fmt: skip


def test_a_name_that_there_is_not_is_told_with_those_there_are(server: WebServer) -> None:
    error = refusal(server, "get", "/", {"auth": "yours"}, settings=secrets(server))
    assert (error.kind, error.field) == ("Validation", "auth")
    assert error.message == "auth: there is no secret 'yours' (there are: mine)"


def test_what_the_operator_has_not_set_is_the_operators_to_mend(server: WebServer) -> None:
    error = refusal(server, "get", "/", AUTH, settings=secrets(server, value_env="UNSET_TOKEN"))
    assert (error.kind, "UNSET_TOKEN is not set" in error.message) == ("Configuration", True)
    error = refusal(server, "get", "/", AUTH, settings=secrets(server, value_env="SHORT_TOKEN"))
    assert (error.kind, "could not be hidden" in error.message) == ("Configuration", True)


@pytest.mark.attack("B10")
def test_a_spell_does_not_set_the_header_of_the_secret(server: WebServer) -> None:
    options = {**AUTH, "headers": {"AUTHORIZATION": "Bearer mine"}}
    error = refusal(server, "get", "/", options, settings=secrets(server))
    assert (error.kind, error.field) == ("Validation", "headers.authorization")


def test_a_secret_needs_the_grant_of_its_host_as_well(server: WebServer) -> None:
    error = refusal(server, "get", "/", AUTH, settings=secrets(server), allow_domain=())
    assert (error.kind, error.field) == ("Policy", "url")
    assert server.connections == 0


FORMS = (
    TOKEN,
    f"Bearer {TOKEN}",
    base64.b64encode(TOKEN.encode()).decode(),
    base64.urlsafe_b64encode(TOKEN.encode()).decode(),
    quote(TOKEN, safe=""),
    quote(TOKEN),
    quote_plus(TOKEN),
    quote(TOKEN, safe="").lower().replace("tk-canary", "tk-Canary"),
    json.dumps(TOKEN),
    html.escape(TOKEN),
    TOKEN.encode().hex(),
    TOKEN.encode().hex().upper(),
    TOKEN.lower(),
)


@pytest.mark.attack("B18", "B20")
@pytest.mark.parametrize("form", FORMS)
def test_what_a_server_echoes_shows_no_secret(server: WebServer, form: str) -> None:
    names: dict[str, Any] = {form: "x"} if form.isalnum() else {}
    server.replies |= {
        "/body": page(f"before {form} after {form}".encode()),
        "/gzip": page(gzip.compress(f"before {form} after".encode()), content_encoding="gzip"),
        "/header": page(b"x", x_echo=form),
        "/name": page(b"x", **names),
        "/fail": page(form.encode(), 401),
        "/json": page(json.dumps({"echo": form, form: 1}).encode()),
        "/bytes": page(b"\xff" + form.encode() + b"\xff"),
        "/location": redirect(f"https://{form if form.isalnum() else 'x'}.evil.example/{form}"),
        "/utf16": page(form.encode("utf-16"), content_type="text/plain; charset=utf-16"),
        "/escaped": page(b'"%s"' % "".join(f"\\u{ord(c):04x}" for c in form).encode()),
    }
    host = host_of(server, settings=secrets(server))

    async def work() -> str:
        shown = []
        for path in (
            "body",
            "gzip",
            "header",
            "name",
            "fail",
            "bytes",
            "json",
            "location",
            "utf16",
            "escaped",
        ):
            expect = {"bytes": "bytes", "json": "json", "escaped": "json"}.get(path, "text")
            try:
                url = f"http://127.0.0.1:{server.port}/{path}"
                shown.append(repr(await host.call("http.get", url, {**AUTH, "expect": expect})))
            except BridgeError as error:
                shown.append(repr((error.message, error.field, str(error))))
        return "\n".join(shown)

    shown = host.run(work)
    assert form not in shown
    assert "tk-canary" not in shown.lower().replace("***", "")
    assert shown.count("***") >= 5


@pytest.mark.attack("B20")
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
def test_base64_of_a_longer_text_shows_no_secret(server: WebServer, before: str) -> None:
    encoded = base64.b64encode(f"{before}{TOKEN}!".encode())
    server.replies["/"] = page(encoded)
    body = ask(server, "get", "/", AUTH, settings=secrets(server))["body"]
    assert "***" in body
    left = body.replace("***", "")
    assert len(left) <= len(before) * 2 + 8  # the ends, which depend on what is around it


@pytest.mark.attack("B20")
def test_a_secret_that_is_cut_between_two_pieces_is_hidden(server: WebServer) -> None:
    def cut(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        for letter in f"<<{TOKEN}>>":
            yield b"1\r\n" + letter.encode() + b"\r\n"
        yield b"0\r\n\r\n"

    server.replies["/"] = cut
    host = host_of(server, settings=secrets(server))
    url = f"http://127.0.0.1:{server.port}/"
    pieces, _ = host.run(lambda: host.drain("http.stream", url, AUTH))
    assert "".join(pieces) == "<<***>>"


@pytest.mark.attack("B18")
def test_no_text_of_ours_shows_a_secret(server: WebServer) -> None:
    from llmspell_bridges.http._config import HttpConfig, SecretConfig
    from llmspell_bridges.http._secrets import Vault
    from llmspell_bridges.http._url import parse

    config = HttpConfig(secrets={"mine": SecretConfig(value_env="TEST_TOKEN", host="a.example")})
    handle = Vault(config).take("mine", parse("https://a.example/", "url"))
    assert TOKEN not in repr(handle) + repr(config) + str(handle.secret)
    error = refusal(server, "get", "/", AUTH, settings=secrets(server, host="a.example"))
    assert TOKEN not in f"{error!r} {error.info()}"
