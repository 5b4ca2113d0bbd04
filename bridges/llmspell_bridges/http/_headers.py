"""Headers: which a spell may set, and what it sees of an answer's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .._errors import BridgeError

MAX_HEADERS: Final = 64
"""Headers of a request, which needs a dozen."""
MAX_SIZE: Final = 16 * 1024
"""Bytes of a request's headers: what servers commonly take."""
MAX_ANSWERED: Final = 256
"""Headers of an answer; h11 bounds their size, 100 KB, but not their number."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OURS: Final = frozenset(
    {
        "host", "content-length", "transfer-encoding",  # frame the request
        "connection", "keep-alive", "te", "trailer", "upgrade", "http2-settings",  # hop by hop
        "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "expect", "accept-encoding",  # change how the answer comes
        "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via",
    }
)  # fmt: skip
"""What the client sets, or what only a proxy may say: a spell is none."""
KEPT_ELSEWHERE: Final = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""What goes along when a redirect leads to another origin. Any other may be a credential."""

Headers = dict[str, str]
"""By name in lower case."""


def checked(given: dict[str, str]) -> Headers:
    """The headers of a spell. Raises `BridgeError` of kind `Validation` that names the field."""
    headers: Headers = {}
    for name, value in given.items():
        lower = name.lower()
        at = f"headers.{name[:60]}"
        if not _NAME.fullmatch(name):
            raise _invalid("headers", "holds a name that is none")
        if not _VALUE.fullmatch(value):
            raise _invalid(at, "is no line of ASCII text")
        if lower in _OURS:
            raise _invalid(at, "is set by the client, and not by spells")
        if lower in headers:
            raise _invalid(at, "is given twice")
        headers[lower] = value.strip(" \t")
    if len(headers) > MAX_HEADERS or size(headers) > MAX_SIZE:
        raise _invalid("headers", f"holds more than {MAX_HEADERS} headers or {MAX_SIZE} bytes")
    return headers


def size(headers: Headers) -> int:
    """Bytes that they take on the wire."""
    return sum(len(name) + len(value) + 4 for name, value in headers.items())


def elsewhere(headers: Headers) -> Headers:
    """What of them another origin gets."""
    return {name: value for name, value in headers.items() if name in KEPT_ELSEWHERE}


def answered(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers of an answer, repeated ones joined. Raises `BridgeError` of kind `Limit`."""
    headers: Headers = {}
    for number, (name, value) in enumerate(raw):
        if number >= MAX_ANSWERED:
            raise BridgeError("Limit", f"the answer has more than {MAX_ANSWERED} headers")
        lower, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[lower] = f"{headers[lower]}, {text}" if lower in headers else text
    return headers


def _invalid(field: str, what: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: it {what}", field=field)
