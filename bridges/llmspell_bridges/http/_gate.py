"""The gate: what a spell may name, and what may be dialled for it."""

from __future__ import annotations

import ipaddress
from typing import Final

from .._context import PolicyView
from .._domains import check_host, is_loopback
from .._errors import BridgeError
from ._addresses import Address, refusal
from ._resolver import Resolver
from ._url import PORTS, Target

_FIRST_FREE: Final = 1024
"""Ports below belong to other protocols, which a request could be taken for; see `admit`."""
MAX_ADDRESSES: Final = 16
"""Addresses of one name that are looked at; more are refused, since each is dialled in turn."""


def admit(target: Target, policy: PolicyView, field: str) -> None:
    """Refuse what the policy does not grant, before any name is looked up.

    Raises `BridgeError` of kind `Policy`.
    """
    check_host(target.host, allow_domain=policy.allow_domain, field=field)
    if target.scheme != "https" and policy.require_tls and not is_loopback(target.host):
        message = f"{field}: plain http to {target.host} is refused: require_tls is on"
        raise BridgeError("Policy", message, field=field)
    if target.port < _FIRST_FREE and target.port not in PORTS.values():
        message = f"{field}: port {target.port} belongs to another protocol than HTTP"
        raise BridgeError("Policy", message, field=field)


class Gate:
    """Between a name and the address that is dialled for it."""

    def __init__(self, allow_private: tuple[str, ...], resolver: Resolver) -> None:
        """Raises `BridgeError` of kind `Configuration` for an entry that is no address and port."""
        self._permitted = frozenset(map(_endpoint, allow_private))
        self._resolver = resolver

    async def addresses(self, host: str, port: int) -> list[str]:
        """What to dial for `host`, every one checked. Raises `BridgeError`: `Policy`, `Network`."""
        try:
            literal = [str(ipaddress.ip_address(host))]
        except ValueError:
            literal = []
        found = literal or await self._resolver.resolve(host)
        if len(found) > MAX_ADDRESSES:
            message = f"url: {host} has more than {MAX_ADDRESSES} addresses"
            raise BridgeError("Policy", message, field="url")
        for text in found:
            self._check(host, text, port)
        return found

    def _check(self, host: str, text: str, port: int) -> None:
        address = ipaddress.ip_address(text)  # an IPv6 zone, such as %eth0, is part of it
        if (address, port) in self._permitted:
            return
        if why := refusal(address):
            # The address is not told: it would tell spells what a network is made of.
            message = (
                f"url: {host} has an address that is {why}, and spells reach public ones only; "
                "allow_private under [http] in the config file permits single ones"
            )
            raise BridgeError("Policy", message, field="url")


def _endpoint(text: str) -> tuple[Address, int]:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
    except ValueError:
        message = f"[http.allow_private] '{text}' is no address with a port: write 127.0.0.1:8080"
        raise BridgeError("Configuration", message, field="http.allow_private") from None
    return address, number
