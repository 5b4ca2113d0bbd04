"""A zygote whose workers run Python where a script would run: native code in a locked worker.

Everything else is the engine's own: its preloads, its threads, its list of system calls. What runs
has these names: `raw` (one raw system call), `in_thread` (run a function in a thread that was there
before the lock, and wait for it), `begin` (likewise, without waiting), `ctypes`, `os`, `address`
(of the handler of SIGSYS, 0 where there is none), `result`. It cannot import anything.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from llmspell_protocol import Start
from llmspell_workers._session import Session
from llmspell_workers.containment import Layers, SyscallPolicy
from llmspell_workers.containment._trap import CODE
from llmspell_workers.engines import EngineOptions, ScriptEngine, load_engine
from llmspell_workers.zygote import run_zygote

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def raw(number: int, *arguments: Any) -> int:
    """One raw system call: its result, or its errno as a negative number."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    return -ctypes.get_errno() if result < 0 else result


class _Helper:
    """A thread that runs one function when it is asked to."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._done = threading.Event()
        self._body: Callable[[], object] = lambda: None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        self._asked.wait()
        self._body()
        self._done.set()

    def begin(self, body: Callable[[], object]) -> None:
        """Let it go, and do not wait."""
        self._body = body
        self._asked.set()

    def run(self, body: Callable[[], object]) -> None:
        """Let it go, and wait."""
        self.begin(body)
        self._done.wait()


class Native:
    """An engine with its execution replaced."""

    def __init__(self, inner: ScriptEngine) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def start(self, options: EngineOptions) -> None:
        """As the engine, and a thread of ours."""
        self._inner.start(options)
        self._helper = _Helper()

    def syscalls(self, *, jit: bool) -> SyscallPolicy:
        """As the engine. The handler is mapped by now, and /proc still there."""
        self._address = _address_of_handler()
        return self._inner.syscalls(jit=jit)

    def execute(self, start: Start, _session: Session) -> bytes:
        """Run the source as Python; what it leaves in `result` is the value."""
        names: dict[str, Any] = {
            "raw": raw,
            "begin": self._helper.begin,
            "in_thread": self._helper.run,
            "ctypes": ctypes,
            "os": os,
            "address": self._address,
            "result": None,
        }
        exec(compile(start.source, "native", "exec"), names)  # noqa: S102 - that is the attack
        return msgspec.msgpack.encode(names["result"])


def _address_of_handler() -> int:
    code = b"".join(instruction for instruction, _, _ in CODE)
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, access, *rest = line.split()
        at = int(place.partition("-")[0], 16)
        if access == "r-xp" and len(rest) == 3 and ctypes.string_at(at, len(code)) == code:
            return at
    return 0


def main(engine_name: str, isolation: str) -> NoReturn:
    """As the real one."""

    def load() -> ScriptEngine:
        native: Any = Native(load_engine(engine_name))
        return native  # type: ignore[no-any-return]

    run_zygote(engine_name, load, Layers(strict=isolation != "degraded"))
