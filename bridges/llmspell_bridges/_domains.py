"""Which addresses a spell may name: by the policy's list of domains, label by label."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from ._errors import BridgeError

_PLAIN: Final = re.compile(r"https?://[!-\[\]-~]+", re.ASCII)
"""Printable ASCII and no backslash: what parsers disagree about is not looked at."""


def check_url(url: str, *, allow_domain: tuple[str, ...], require_tls: bool, field: str) -> None:
    """Refuse an address that the policy does not grant. Raises `BridgeError` that names `field`.

    An entry of `allow_domain` is a host, or `*.` and a domain for every host below it. An empty
    tuple grants nothing.
    """
    try:
        parts = urlsplit(url) if _PLAIN.fullmatch(url) else None
        host = (parts.hostname or "") if parts else ""
    except ValueError:
        parts, host = None, ""
    if parts is None or not host or parts.username is not None:
        raise BridgeError("Validation", f"{field}: not an http or https address", field=field)
    if parts.scheme != "https" and require_tls:
        message = f"{field}: plain http to {host} is refused: require_tls is on"
        raise BridgeError("Policy", message, field=field)
    check_host(host, allow_domain=allow_domain, field=field)


def check_host(host: str, *, allow_domain: tuple[str, ...], field: str) -> None:
    """Refuse a host, in lower case, that the policy does not grant. Raises as `check_url`."""
    if not any(_covers(pattern.lower(), host) for pattern in allow_domain):
        message = f"{field}: {host} is not granted; grant it with --allow-domain {host}"
        raise BridgeError("Policy", message, field=field)


def _covers(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and not _is_address(host)
    return host == pattern


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by its name or address; nothing is looked up."""
    if host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback
