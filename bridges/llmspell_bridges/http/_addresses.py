"""Which addresses of the internet are nobody's business: everything that is not plainly public."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_REASONS: Final = {
    "0.0.0.0/8": "of this machine",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "of a provider's own network",
    "127.0.0.0/8": "of this machine",
    "168.63.129.16/32": "of a cloud's metadata",  # Azure's, and public by its number
    "169.254.0.0/16": "link-local, such as a cloud's metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "reserved",
    "192.88.99.0/24": "of a relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "reserved",
    "198.51.100.0/24": "reserved",
    "203.0.113.0/24": "reserved",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/127": "of this machine",
    "64:ff9b:1::/48": "of a relay",
    "100::/64": "reserved",
    "2001::/23": "of a relay or reserved",  # Teredo, ORCHID, benchmarks
    "2001:db8::/32": "reserved",
    "2002::/16": "of a relay",  # 6to4: holds any IPv4 address
    "3fff::/20": "reserved",
    "5f00::/16": "reserved",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "private",
    "ff00::/8": "multicast",
}
"""IANA's special-purpose registries (RFC 6890), and what clouds added to them. Not Python's
`is_global` alone, which has changed between patch versions."""
_NETWORKS: Final = [(ipaddress.ip_network(net), why) for net, why in _REASONS.items()]
_MAPPED: Final = [  # where an IPv6 address is an IPv4 one: its last four bytes
    ipaddress.IPv6Network("::/96"),
    ipaddress.IPv6Network("::ffff:0:0/96"),
    ipaddress.IPv6Network("::ffff:0:0:0/96"),
    ipaddress.IPv6Network("64:ff9b::/96"),
]
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""The third quarter of an address that tunnels to the IPv4 address in its fourth (RFC 5214)."""


def refusal(address: Address) -> str | None:
    """Why nothing may be sent to `address`; none if it is a public one of another machine."""
    plain = _plain(address)
    for network, why in _NETWORKS:
        if plain in network:
            return why
    if not plain.is_global:
        return "reserved"
    return "of this machine" if _is_ours(plain) else None


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    number = int(address)
    within = any(address in network for network in _MAPPED) and number > 1
    if within or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return address


def _is_ours(address: Address) -> bool:
    """Whether an interface of this machine has it: only such an address can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
