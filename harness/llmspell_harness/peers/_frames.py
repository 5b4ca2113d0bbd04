"""What hostile peers are made of: bodies of frames, and peers that say one thing and hang."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmspell_protocol import PROTOCOL_VERSION, Call, Ready

from .._attack import peer

if TYPE_CHECKING:
    from .._wire import Wire

encode: Final = msgspec.msgpack.encode

NULL: Final = msgspec.Raw(b"\xc0")
NO_ARGUMENTS: Final = msgspec.Raw(b"\x90")
READY: Final = Ready(PROTOCOL_VERSION, "lua", "forged", {"seccomp": "on: forged"})

SOON: Final = {"timeout": 0.3}
"""For what nothing but the wall clock ends: a hundred times what a peer needs."""


def call(number: int, method: str = "llm.models") -> Call:
    """A legal call; of a method that there is, or of another."""
    return Call(number, method, NO_ARGUMENTS)


def result(value: bytes) -> bytes:
    """The body of a `Result` that carries any bytes."""
    return b"\x92\xa6result" + value


def says(attack_id: str, name: str, title: str, *bodies: bytes, **more: Any) -> None:
    """Declare a peer that sends these frames at once, says no more, and does not end."""
    # Packed: every worker holds what is declared here, and its limits count it.
    frames = zlib.compress(b"".join(len(body).to_bytes(4, "big") + body for body in bodies), 1)

    def run(wire: Wire) -> None:
        wire.send(zlib.decompress(frames))
        wire.hang()

    run.__name__ = name
    peer(attack_id, title, **more)(run)
