"""From a script's options to a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from .._content import octets
from .._errors import BridgeError
from . import _headers, _url
from ._body import ACCEPTED

if TYPE_CHECKING:
    from ._secrets import Handle, Vault
    from ._types import RequestOptions, StreamOptions
    from ._url import Target

_AGENT = "llmspell-supervisor"
_WITH_BODY = ("POST", "PUT", "PATCH")
"""Which say how long their body is, also where there is none."""
_CHANGED = (301, 302)
_SEE_OTHER = 303
REDIRECTS = (*_CHANGED, _SEE_OTHER, 307, 308)


class Outgoing(Struct, frozen=True):
    """One request. Its secret is not among its headers: see `sent_headers`."""

    method: str
    target: Target
    headers: _headers.Headers
    body: bytes | None
    handle: Handle | None
    redirects: int
    """How many more are followed."""

    def sent_headers(self) -> _headers.Headers:
        """All of them, the secret's only where it is meant for the target."""
        headers = {
            "host": self.target.authority,
            "user-agent": _AGENT,
            "accept": "*/*",
            **self.headers,
            "accept-encoding": ACCEPTED,
        }
        if self.body is not None or self.method in _WITH_BODY:
            headers["content-length"] = str(len(self.body or b""))
        if self.handle is not None and self.handle.covers(self.target):
            headers.update((self.handle.header(),))
        return headers

    def size(self) -> int:
        """Bytes that leave with it."""
        line = len(f"{self.method} {self.target.path} HTTP/1.1\r\n\r\n")
        return line + _headers.size(self.sent_headers()) + len(self.body or b"")

    def redirected(self, status: int, location: str) -> Outgoing:
        """The request that an answer asks for. Raises `BridgeError` if nobody may make it."""
        if self.redirects == 0:
            raise BridgeError("Limit", f"{self.target.authority}: too many redirects")
        target = _url.follow(self.target, location)
        if self.target.scheme == "https" and target.scheme != "https":
            message = f"location: a redirect from https to http, at {target.host}, is not followed"
            raise BridgeError("Policy", message, field="location")
        method, body, headers = self.method, self.body, self.headers
        if (status in _CHANGED and method == "POST") or (
            status == _SEE_OTHER and method not in ("GET", "HEAD")
        ):
            method, body = "GET", None
            headers = {n: v for n, v in headers.items() if not n.startswith("content-")}
        handle = self.handle
        if target.origin != self.target.origin:
            headers, handle = _headers.elsewhere(headers), None
        return replace(
            self, method=method, target=target, headers=headers, body=body, handle=handle,
            redirects=self.redirects - 1,
        )  # fmt: skip


def outgoing(
    method: str, url: str, options: RequestOptions | StreamOptions, vault: Vault
) -> Outgoing:
    """The request of a script. Raises `BridgeError`."""
    headers = _headers.checked(options.headers)
    body, kind = _body(options)
    if kind:
        headers.setdefault("content-type", kind)
    target = _with_query(_url.parse(url, "url"), options.query)
    handle = None
    if options.auth is not None:
        handle = vault.take(options.auth, target)
        name, _ = handle.header()
        if name in headers:
            message = f"headers.{name}: the secret of auth is put there"
            raise BridgeError("Validation", message, field=f"headers.{name}")
    return Outgoing(method, target, headers, body, handle, options.redirects)


def _with_query(target: Target, query: dict[str, Any]) -> Target:
    if not query:
        return target
    plain = [(name, [_text(v) for v in value] if isinstance(value, list) else _text(value))
             for name, value in _in_order(query)]  # fmt: skip
    joint = "&" if "?" in target.path else "?"
    path = f"{target.path}{joint}{urlencode(plain, doseq=True)}"
    if len(path) > _url.MAX_URL:
        message = f"query: the address is longer than {_url.MAX_URL} characters with it"
        raise BridgeError("Validation", message, field="query")
    return replace(target, path=path)


def _body(options: RequestOptions | StreamOptions) -> tuple[bytes | None, str]:
    """The bytes, and their media type."""
    given = [name for name, there in (
        ("body", options.body is not None),
        ("json", options.json is not UNSET),
        ("form", options.form is not None),
    ) if there]  # fmt: skip
    if len(given) > 1:
        message = f"{given[1]}: give {given[0]} or {given[1]}, not both"
        raise BridgeError("Validation", message, field=given[1])
    if options.json is not UNSET:
        try:
            return msgspec.json.encode(options.json), "application/json"
        except (TypeError, ValueError, msgspec.MsgspecError):
            message = "json: it holds what JSON cannot"
            raise BridgeError("Validation", message, field="json") from None
    if options.form is not None:
        fields = [(name, _text(value)) for name, value in _in_order(options.form)]
        return urlencode(fields).encode(), "application/x-www-form-urlencoded"
    if options.body is None:
        return None, ""
    kind = (
        "text/plain; charset=utf-8" if isinstance(options.body, str) else "application/octet-stream"
    )
    return octets(options.body, "body"), kind


def _in_order(fields: dict[str, Any]) -> list[tuple[str, Any]]:
    """By name: a table of Lua's has no order of its own."""
    return sorted(fields.items())


def _text(value: str | float) -> str:
    """As JSON writes it, since Python's own words for booleans are nobody else's."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
