"""Addresses: read once, here, and written anew, so that nobody after us can read them differently."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final
from urllib.parse import quote, urljoin

from msgspec import Struct

from .._errors import BridgeError

MAX_URL: Final = 8192
"""Characters: what servers commonly take."""
_REFERENCE: Final = re.compile(
    r"([a-z][a-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE
)
"""RFC 3986, appendix B, for an absolute address."""
_FORBIDDEN: Final = re.compile(r'[\x00-\x20\x7f-\xa0\\<>"{}|^`]')
"""Never legal in an address as they are (RFC 3986), and what parsers disagree about."""
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:%@]+)(?::([0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOT: Final = re.compile(r"%2e", re.IGNORECASE)
PORTS: Final = {"https": 443, "http": 80}


class Target(Struct, frozen=True):
    """Where a request goes."""

    scheme: str
    host: str
    """In lower case, as ASCII; an IPv6 address without brackets."""
    port: int
    path: str
    """Encoded, without dots between the slashes, and with the query."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """What tells servers apart."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The host and, if it is not the scheme's own, the port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """All of it."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse(url: str, field: str) -> Target:
    """Read an address. Raises `BridgeError` of kind `Validation` that names `field`."""
    if len(url) > MAX_URL:
        raise _invalid(field, f"is longer than {MAX_URL} characters")
    if _FORBIDDEN.search(url) or _BAD_PERCENT.search(url):
        raise _invalid(field, "holds a character that must be written as %XX")
    found = _REFERENCE.fullmatch(url)
    scheme = found[1].lower() if found else ""
    if found is None or scheme not in PORTS:
        raise _invalid(field, "is no http or https address")
    authority = _AUTHORITY.fullmatch(found[2] or "")
    if authority is None:
        raise _invalid(field, "holds no plain host: write https://HOST/ or https://HOST:PORT/")
    port = int(authority[2]) if authority[2] else PORTS[scheme]
    if not 0 < port < 65536:
        raise _invalid(field, "holds no port that there is")
    path = _without_dots(quote(found[3], safe="/:@!$&'()*+,;=-._~%"))
    query = quote(found[4] or "", safe="/?:@!$&'()*+,;=-._~%")
    return Target(scheme, _host(authority[1], field), port, path + query)


def follow(base: Target, location: str) -> Target:
    """Where a redirect leads. Raises as `parse`."""
    if _FORBIDDEN.search(location):
        raise _invalid("location", "holds a character that must be written as %XX")
    return parse(urljoin(base.url, location), "location")


def _host(text: str, field: str) -> str:
    """A host as everybody reads it: https://url.spec.whatwg.org/#host-parsing, but stricter."""
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            raise _invalid(field, "holds no IPv6 address in its brackets") from None
    host = text.lower() if text.isascii() else _ascii(text, field)
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid(field, "holds no host name")
    if _NUMBER.fullmatch(labels[-1]):  # some take 0x7f.1 and 017700000001 for addresses
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _invalid(field, "holds no IPv4 address in its usual form") from None
    return host


def _ascii(text: str, field: str) -> str:
    import idna

    if any(unicodedata.category(c) == "Cf" for c in text):  # which idna drops, unseen
        raise _invalid(field, "holds no host name")
    try:
        return idna.encode(text, uts46=True).decode()
    except idna.IDNAError:
        raise _invalid(field, "holds no host name") from None


def _without_dots(path: str) -> str:
    """Without `.` and `..`, also where they are written as %2e: as servers would read it."""
    kept: list[str] = []
    names = path.split("/")[1:]
    for name in names:
        plain = _DOT.sub(".", name)
        if plain == "..":
            kept = kept[:-1]
        elif plain != ".":
            kept.append(name)
    if names and _DOT.sub(".", names[-1]) in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _invalid(field: str, what: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: it {what}", field=field)
