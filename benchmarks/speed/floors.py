"""What the machine takes for the least that could do the same work. Seconds everywhere."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec

_HEAD = struct.Struct(">I")
_FORKER = """
import os, sys, time
from llmspell_workers.engines import load_engine
engine = load_engine(sys.argv[1])
engine.preload()
import gc
gc.disable()
gc.freeze()
for line in sys.stdin:
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    print(time.perf_counter() - began, flush=True)
"""


class Forker:
    """A process with the image of a zygote, which forks, ends and waits for what it forked."""

    def __init__(self, engine: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKER, engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self) -> float:
        """One fork, one end, one wait."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class PingPong:
    """Two processes, two pipes, a value out and back, msgspec at both ends."""

    def __init__(self) -> None:
        there, out = os.pipe()
        back, answer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(out)
            os.close(back)
            _serve(there, answer)
            os._exit(0)
        os.close(there)
        os.close(answer)
        self._out, self._back = out, back

    def __call__(self, value: object) -> float:
        """Seconds for one value."""
        began = time.perf_counter()
        _send(self._out, msgspec.msgpack.encode(value))
        msgspec.msgpack.decode(_receive(self._back))
        return time.perf_counter() - began

    def close(self) -> None:
        """End the other process."""
        os.close(self._out)
        os.close(self._back)
        os.waitpid(self._pid, 0)


def _serve(there: int, answer: int) -> None:
    try:
        while True:
            value = msgspec.msgpack.decode(_receive(there))
            _send(answer, msgspec.msgpack.encode(value))
    except EOFError:
        return


def _send(fd: int, body: bytes) -> None:
    view = memoryview(_HEAD.pack(len(body)) + body)
    while view:
        view = view[os.write(fd, view) :]


def _receive(fd: int) -> bytes:
    (size,) = _HEAD.unpack(_exactly(fd, _HEAD.size))
    return _exactly(fd, size)


def _exactly(fd: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(fd, min(1 << 20, size - len(parts)))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def process(*command: str) -> Callable[[], float]:
    """A whole process, from before it exists to after it is reaped."""

    def once() -> float:
        began = time.perf_counter()
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - began

    return once
