"""A name server of our own on loopback, which may be as hostile as one can be, and who asks it."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Self

from llmspell_bridges import BridgeError

A, CNAME, AAAA, IN = 1, 5, 28, 1
_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")


@dataclass(frozen=True)
class Record:
    """One answer: an address, or another name."""

    value: str
    ttl: int = 0

    @property
    def kind(self) -> int:
        """Its type on the wire."""
        if ":" in self.value:
            return AAAA
        return A if self.value.replace(".", "").isdigit() else CNAME

    def data(self) -> bytes:
        """Its data on the wire."""
        if self.kind == CNAME:
            return encode_name(self.value)
        return socket.inet_pton(socket.AF_INET if self.kind == A else socket.AF_INET6, self.value)


class NameServer:
    """Answers over UDP. Each name has a list of answers, one for each look-up; the last one stays."""

    def __init__(self, zone: dict[str, list[list[str]]]) -> None:
        self._zone = zone
        self.asked: Counter[str] = Counter()
        """Look-ups of addresses (A) by name."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))  # wakes it up for the last time
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, peer = self._socket.recvfrom(4096)
            if not question:
                return
            self._socket.sendto(self._answer(question), peer)

    def _answer(self, question: bytes) -> bytes:
        name, end = decode_name(question, _HEADER.size)
        kind = int.from_bytes(question[end : end + 2])
        turn = self.asked[name]
        if kind == A:
            self.asked[name] += 1
        elif turn:
            turn -= 1  # the same look-up, for the other kind of address
        turns = self._zone.get(name, [[]])
        found = [Record(value) for value in turns[min(turn, len(turns) - 1)]]
        records = [r for r in found if r.kind in (kind, CNAME)]
        number = int.from_bytes(question[:2])
        code = 0x8180 if name in self._zone else 0x8183  # NXDOMAIN
        head = _HEADER.pack(number, code, 1, len(records), 0, 0)
        body = question[_HEADER.size : end + 4]
        for record in records:
            data = record.data()
            body += encode_name(name) + _RECORD.pack(record.kind, IN, record.ttl, len(data)) + data
        return head + body


class NameClient:
    """Looks names up at one server: in place of what this machine is configured for."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str) -> list[str]:
        """Every address, along CNAMEs. Raises `BridgeError` of kind `Network`."""
        found = await asyncio.to_thread(self._look_up, host)
        if not found:
            raise BridgeError("Network", f"url: the name {host} is not known", field="url")
        return found

    def close(self) -> None:
        """There is nothing to close."""

    def _look_up(self, host: str) -> list[str]:
        for _ in range(8):
            answers = [self._ask(host, kind) for kind in (A, AAAA)]
            found = [text for kind, text in itertools.chain(*answers) if kind != CNAME]
            names = [text for kind, text in itertools.chain(*answers) if kind == CNAME]
            if found or not names:
                return found
            host = names[0]
        return []

    def _ask(self, host: str, kind: int) -> list[tuple[int, str]]:
        number = secrets.randbits(16)
        question = _HEADER.pack(number, 0x0100, 1, 0, 0, 0)
        question += encode_name(host) + struct.pack("!HH", kind, IN)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(5)
            asker.connect(("127.0.0.1", self._port))
            asker.send(question)
            answer = asker.recv(4096)
        assert int.from_bytes(answer[:2]) == number
        return list(_records(answer))


def _records(answer: bytes) -> list[tuple[int, str]]:
    count = int.from_bytes(answer[6:8])
    _, at = decode_name(answer, _HEADER.size)
    at += 4
    found: list[tuple[int, str]] = []
    for _ in range(count):
        _, at = decode_name(answer, at)
        kind, _, _, size = _RECORD.unpack_from(answer, at)
        at += _RECORD.size
        data = answer[at : at + size]
        if kind == CNAME:
            text, _ = decode_name(answer, at)
        else:
            text = socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data)
        found.append((kind, text))
        at += size
    return found


def encode_name(name: str) -> bytes:
    """`a.b` as labels with their lengths."""
    labels = [label.encode() for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def decode_name(data: bytes, at: int) -> tuple[str, int]:
    """The name at `at`, and where it ends."""
    labels: list[str] = []
    while size := data[at]:
        labels.append(data[at + 1 : at + 1 + size].decode())
        at += size + 1
    return ".".join(labels), at + 1
