"""What this host offers, layer by layer: a scratch process that `doctor` asks."""

from __future__ import annotations

import socket

import msgspec

from llmspell_protocol.control import CONTROL_FD

from .containment import probe


def main() -> None:
    """Try every layer, without an engine, and say what was found on the control socket."""
    with socket.socket(fileno=CONTROL_FD) as pipe:
        pipe.send(msgspec.msgpack.encode(probe()))
