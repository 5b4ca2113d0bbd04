"""Ways out over the network, and to the host's own services."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmspell_workers.containment import IN_FD

from .._attack import native
from ._raw import address, call, filled, refusal, space, text, words
from ._rows import Row, declare
from ._walls import DESCRIPTOR, OWN_RIGHTS, PATH

if TYPE_CHECKING:
    from .._attack import Targets

_UNIX: Final = 1
_INET: Final = 2
_INET6: Final = 10
_NETLINK: Final = 16
_STREAM: Final = 1
_DATAGRAM: Final = 2
_RAW: Final = 3
_SEQUENCED: Final = 5
_MPTCP: Final = 262
_SCTP: Final = 132
_NETFILTER: Final = 12
_SOL_SOCKET: Final = 1
_SCM_RIGHTS: Final = 1
_HUGE: Final = 0x7FFF_FFFF
_FEW: Final = 64
"""Descriptors to look through: no worker ever had more."""
_GET: Final = b"GET / HTTP/1.0\r\n\r\n"
_NETWORK: Final = (*DESCRIPTOR, "net_namespace")


def _ipv4(port: int) -> bytes:
    return struct.pack("=H", _INET) + struct.pack("!H4B8x", port, 127, 0, 0, 1)


def _ipv6(port: int) -> bytes:
    mapped = bytes(10) + b"\xff\xff" + bytes((127, 0, 0, 1))
    return struct.pack("=H", _INET6) + struct.pack("!HI", port, 0) + mapped + bytes(4)


def _unix(name: bytes) -> bytes:
    return struct.pack("=H", _UNIX) + name


def _connect(family: int, where: bytes, protocol: int = 0) -> int:
    end = call("socket", family, _STREAM, protocol)
    call("connect", end, where, len(where))
    return end


def _ask(end: int, question: bytes) -> str:
    """The start of a service's answer."""
    call("write", end, question, len(question))
    answer = space(4096)
    return filled(answer, call("read", end, answer, len(answer))).decode("latin-1")


@native(
    "O12",
    "fetch the canary of a web server on loopback",
    walls=(*_NETWORK, "landlock"),
)
def tcp(targets: Targets) -> str:
    return _ask(_connect(_INET, _ipv4(targets["http_port"])), _GET)


@native(
    "O12",
    "fetch it by way of an IPv6 address",
    walls=(*_NETWORK, "landlock"),
    uncontrolled="" if Path("/proc/net/if_inet6").exists() else "this host has no IPv6",
)
def tcp6(targets: Targets) -> str:
    return _ask(_connect(_INET6, _ipv6(targets["http_port"])), _GET)


@native("O12", "accept connections", walls=(*DESCRIPTOR, "landlock"))
def listening(targets: Targets) -> str:
    del targets
    end = call("socket", _INET, _STREAM, 0)
    where = _ipv4(0)
    call("bind", end, where, len(where))
    call("listen", end, 1)
    return "listens on loopback"


@native("O12", "send a datagram", walls=_NETWORK)
def udp(targets: Targets) -> str:
    end = call("socket", _INET, _DATAGRAM, 0)
    where = _ipv4(targets["http_port"])
    sent = call("sendto", end, b"x", 1, 0, where, len(where))
    return f"sent {sent} byte"


def _protocols() -> frozenset[str]:
    """What this kernel has at the moment; a module may be loaded for more."""
    try:
        lines = Path("/proc/net/protocols").read_text().splitlines()[1:]
    except OSError:
        return frozenset()
    return frozenset(line.split()[0] for line in lines)


_PRESENT: Final = _protocols()
_UNLOADED: Final = "this kernel has not loaded it"


@native(
    "O12",
    "fetch it over Multipath TCP, which Landlock does not know",
    walls=_NETWORK,
    uncontrolled="" if "MPTCP" in _PRESENT else _UNLOADED,
)
def mptcp(targets: Targets) -> str:
    return _ask(_connect(_INET, _ipv4(targets["http_port"]), _MPTCP), _GET)


def _family(name: str, protocol: str, title: str, *arguments: int) -> Row:
    missing = "" if protocol in _PRESENT else _UNLOADED
    return Row(name, title, ("socket", *arguments), uncontrolled=missing)


declare(
    "O12",
    _family("sctp", "SCTP", "a socket of SCTP", _INET, _STREAM, _SCTP),
    _family("unix", "UNIX", "a socket within the host", _UNIX, _STREAM, 0),
    _family("netlink", "NETLINK", "a socket to the kernel", _NETLINK, _RAW, 0),
    _family("vsock", "AF_VSOCK", "a socket to the host of this machine", 40, _STREAM, 0),
    _family("alg", "ALG", "a socket of the kernel's cryptography", 38, _SEQUENCED, 0),
    _family("bluetooth", "HCI", "a socket of Bluetooth", 31, _RAW, 1),
    _family("tipc", "TIPC", "a socket of TIPC", 30, _SEQUENCED, 0),
    _family("qipcrtr", "QIPCRTR", "a socket to the modem", 42, _DATAGRAM, 0),
    _family("kcm", "KCM", "a socket of the kernel's multiplexer", 41, _DATAGRAM, 0),
    _family("smc", "SMC", "a socket of shared memory", 43, _STREAM, 0),
    Row("socketpair", "a pair of sockets", ("socketpair", _UNIX, _STREAM, 0, space(8))),
    walls=DESCRIPTOR,
)
declare(
    "O12",
    _family("packet", "PACKET", "a socket of whole packets", 17, _RAW, 0),
    _family("raw", "RAW", "a socket below TCP and UDP", _INET, _RAW, 1),
    _family("xdp", "XDP", "a socket beside the kernel's own network", 44, _RAW, 0),
    walls=(*OWN_RIGHTS, "rlimits_closed"),
)


def _header(data: bytes, control: bytes = b"", name: int = 0, name_size: int = 0) -> bytes:
    """A struct msghdr, and in `_kept` what it points to."""
    body, rights = text(data), text(control)
    vector = words(address(body), len(data))
    _kept[:] = [body, rights, vector]
    rights_at = address(rights) if control else 0
    return struct.pack(
        "=QI4xQQQQi4x", name, name_size, address(vector), 1, rights_at, len(control), 0
    )


_kept: list[object] = []


def _send_anyhow(what: str, *tail: object) -> str:
    """Through any descriptor that happens to be a socket, or else through one of our own."""
    for end in range(_FEW):
        try:
            return f"{what} through descriptor {end}: {call(what, end, *tail)}"
        except OSError as error:
            if error.errno not in {errno.EBADF, errno.ENOTSOCK}:
                raise
    pair = space(8)
    call("socketpair", _UNIX, _DATAGRAM, 0, pair)
    end = struct.unpack("ii", pair.raw)[0]
    return f"{what} through a socket of its own: {call(what, end, *tail)}"


@native("O13", "sendto(2)", walls=DESCRIPTOR)
def sendto(targets: Targets) -> str:
    del targets
    return _send_anyhow("sendto", b"x", 1, 0, 0, 0)


@native("O13", "sendmsg(2) with an address of 2 GiB", walls=DESCRIPTOR)
def sendmsg(targets: Targets) -> str:
    del targets
    return _send_anyhow("sendmsg", _header(b"x", name=0, name_size=_HUGE), 0)


@native("O13", "sendmmsg(2) with an address of 2 GiB", walls=DESCRIPTOR)
def sendmmsg(targets: Targets) -> str:
    del targets
    return _send_anyhow("sendmmsg", _header(b"x", name_size=_HUGE) + bytes(8), 1, 0)


@native("O14", "call a service by its path", walls=(*PATH, "rlimits_closed"))
def path_socket(targets: Targets) -> str:
    return _ask(_connect(_UNIX, _unix(targets["unix"].encode() + b"\0")), b"hello\n")


@native(
    "O14",
    "call a service by its abstract name",
    walls=(*_NETWORK, "landlock"),
)
def abstract_socket(targets: Targets) -> str:
    return _ask(_connect(_UNIX, _unix(b"\0" + targets["abstract"].encode())), b"hello\n")


_SERVICES: Final = (
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/systemd/notify",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/user/{user}/bus",
)


@native(
    "O14",
    "call D-Bus, systemd, Docker or containerd",
    walls=(*PATH, "rlimits_closed"),
    uncontrolled="a host has these or not; the canary's service stands for them",
)
def host_services(targets: Targets) -> str:
    del targets
    last = errno.ENOENT
    for path in _SERVICES:
        where = path.format(user=call("getuid")) if "{user}" in path else path
        try:
            _connect(_UNIX, _unix(where.encode() + b"\0"))
        except OSError as error:
            last = error.errno or last
        else:
            return f"connected to {where}"
    raise refusal(last)


@native(
    "O15",
    "pass a descriptor to a service of the host",
    walls=(*PATH, "rlimits_closed"),
)
def pass_descriptor(targets: Targets) -> str:
    end = _connect(_UNIX, _unix(targets["unix"].encode() + b"\0"))
    rights = struct.pack("=Qiii4x", 20, _SOL_SOCKET, _SCM_RIGHTS, IN_FD)
    return f"passed: {call('sendmsg', end, _header(b'x', rights), 0)}"


declare(
    "O40",
    Row("nf_tables", "the netlink socket of nf_tables", ("socket", _NETLINK, _RAW, _NETFILTER)),
    walls=DESCRIPTOR,
)
