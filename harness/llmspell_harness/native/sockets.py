"""Ways out over the network, and to the host's own services."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from .._attack import native
from ._raw import call, space

if TYPE_CHECKING:
    from .._attack import Targets

_SOCKET: Final = 41
_CONNECT: Final = 42
_READ: Final = 0
_WRITE: Final = 1
_INET: Final = 2
_STREAM: Final = 1
_FILTERS: Final = ("seccomp", "zygote_seccomp")


def _ask(family: int, address: bytes, question: bytes) -> str:
    """Connect to a service and return the start of its answer."""
    end = call(_SOCKET, family, _STREAM, 0)
    call(_CONNECT, end, address, len(address))
    call(_WRITE, end, question, len(question))
    answer = space(4096)
    count = call(_READ, end, answer, len(answer))
    return answer.raw[:count].decode("latin-1")


@native(
    "O12",
    "fetch the canary of a web server on loopback",
    walls=(*_FILTERS, "rlimits_closed", "net_namespace", "landlock"),
)
def tcp(targets: Targets) -> str:
    address = struct.pack("=H", _INET) + struct.pack("!H4B8x", targets["http_port"], 127, 0, 0, 1)
    return _ask(_INET, address, b"GET / HTTP/1.0\r\n\r\n")
