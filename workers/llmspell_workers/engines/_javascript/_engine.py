"""The engine's declaration."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ...containment import (
    SyscallPolicy,
    SyscallRule,
    clocks,
    denied,
    futex,
    is_int,
    plain,
    prctl_option,
    private_memory,
    read_only_from,
    write_only_to,
)
from ._core import NativeCore
from ._failure import PRELUDE, syntax_failure
from ._run import Realm, Run, body

if TYPE_CHECKING:
    from llmspell_protocol import Start

    from ..._session import Session
    from .._interface import EngineOptions

_PARTS: Final = ("primordials.js", "values.js", "handles.js", "inspect.js", "runtime.js")

_REHEARSAL_HEAP: Final = 64 << 20
"""Bytes for an engine that runs nothing."""

_ENOENT: Final = 2
_EINVAL: Final = 22
_ENOSYS: Final = 38
_PR_SET_VMA: Final = 0x53564D41
_PR_SET_NAME: Final = 15

_GLOBALS: Final = frozenset(
    """
    undefined Boolean JSON Date Math Number String RegExp Error InternalError AggregateError
    EvalError RangeError ReferenceError SyntaxError TypeError URIError ArrayBuffer Int8Array
    Uint8Array Int16Array Uint16Array Int32Array Uint32Array Float32Array Float64Array
    Uint8ClampedArray BigInt64Array BigUint64Array Float16Array BigInt Proxy WeakMap Map Set
    DataView Symbol Intl Reflect WeakSet Promise WeakRef Iterator NaN Infinity isNaN isFinite
    parseFloat parseInt escape unescape decodeURI encodeURI decodeURIComponent encodeURIComponent
    Function Object eval debuggerGlobal Array globalThis
    """.split()  # noqa: SIM905 - seventy names read better as text
)
"""Every name that may be there before ours. A new SpiderMonkey that brings more fails its test."""

_FIND_NAMES: Final = """
[Object.getOwnPropertyNames(globalThis).join(" "),
 Reflect.ownKeys(debuggerGlobal).map(String).join(" "),
 typeof Object.getPrototypeOf(debuggerGlobal)].join("|")
"""
_HUSK: Final = frozenset(["NaN", "Infinity", "undefined", "globalThis"])
"""What cannot be deleted from a global object."""

_TRIAL: Final = """
const results = await Promise.all([1, 2n, "\\0", new Uint8Array([7])].map(async (x) => x));
try { await (async () => { throw new Error("caught") })() } catch { results.push(null) }
return {results};
"""
_TRIAL_RESULT: Final = '1{"results":[1,"\\u0000i2","\\u0000s\\u0000","\\u0000bBw==",null]}'


class JavaScriptEngine:
    """SpiderMonkey 136 by way of PythonMonkey's native core."""

    name: ClassVar[str] = "javascript"
    suffixes: ClassVar[tuple[str, ...]] = (".js", ".mjs")
    address_space: ClassVar[int | None] = 72 << 20
    """Bytes: files 54 MB, the stack 8, and some for what is mapped for a moment only."""

    _core: NativeCore
    _source: str
    _version: str
    _prelude: Any
    _parser: Realm
    _realm: Realm
    """The spell's, made before it comes."""

    @property
    def version(self) -> str:
        """Such as `ECMAScript 2025 (SpiderMonkey 136, pythonmonkey 1.4.1)`."""
        return self._version

    def preload(self) -> None:
        """Load the libraries and the prelude. Raises `ImportError` without PythonMonkey."""
        self._core = NativeCore()
        parts = "\n".join(_read(part) for part in _PARTS)
        self._source = f'(function (host, rulesText) {{ "use strict";\n{parts}\n}})'
        self._version = f"ECMAScript 2025 ({self._core.version})"

    def syscalls(self, *, jit: bool) -> SyscallPolicy:
        """What SpiderMonkey needs once it runs; executable memory only for the JIT."""
        crashes = (
            SyscallRule(
                "rt_sigaction",
                "the JIT's handler of memory faults steps aside at a fault that is not its own",
                (is_int(0, signal.SIGSEGV),),
            ),
            SyscallRule("rt_sigreturn", "return from that handler"),
        )
        return SyscallPolicy(
            (
                *read_only_from(),
                *write_only_to(),
                *plain(select="wait for the supervisor and for timers at once"),
                *futex(),
                *private_memory(blocks=True, jit=jit),
                *plain(
                    getrandom="Math.random, hash seeds and util.uuid",
                    getpid="rare paths of the engine; the number is of its own namespace",
                    getrusage="the garbage collector measures its own page faults",
                    exit_group="the worker's end",
                ),
                *clocks(
                    "timers and Date, where the vDSO cannot tell the time",
                    "rare paths of the engine that wait without a lock",
                ),
                *prctl_option(_PR_SET_NAME),
                SyscallRule(
                    "prctl",
                    "names of mappings take memory of the kernel",
                    (is_int(0, _PR_SET_VMA),),
                    _EINVAL,
                ),
                *denied(
                    _ENOENT,
                    readlink="Date and Intl look where /etc/localtime leads; UTC it is",
                    newfstatat="Date and Intl ask for files of time zones; UTC it is",
                    openat="Date and Intl look for files of time zones; UTC it is",
                ),
                # With a JIT there are helper threads. One that was started before the lock may
                # first run after it. What glibc then does for it must not kill the worker, and
                # may fail. (rseq(2) may not; the zygote's environment has glibc leave it out.)
                *denied(
                    _ENOSYS,
                    set_robust_list="glibc registers its list of mutexes; none is robust",
                    rt_sigprocmask="glibc lets a new thread have signals; none is expected",
                ),
                *(crashes if jit else ()),
            )
        )

    def start(self, options: EngineOptions) -> None:
        """Begin SpiderMonkey, with a JIT also its threads, and take out what no spell shall find."""
        self._core.start(heap=options.heap, jit=options.jit)
        self._prelude = self._core.evaluate(self._source, PRELUDE)
        self._parser = self._trial()[0]
        self._parser.enter("strip")
        self._realm = self._trial()[0]

    def rehearse(self) -> bytes:
        """Start, and tell what SpiderMonkey has parsed of its own."""
        self._core.self_hosted.writes = True
        self._core.start(heap=_REHEARSAL_HEAP, jit=False)
        return self._core.self_hosted.written

    def recall(self, made: bytes) -> None:
        """Have workers start without parsing it again."""
        self._core.self_hosted.parsed = made

    def self_test(self) -> None:
        """Run values, jobs and rejections through the engine; look for names."""
        names, inside, proto = str(self._core.evaluate(_FIND_NAMES, PRELUDE)).split("|")
        if strange := set(names.split()) - _GLOBALS:
            raise RuntimeError(f"scripts would see {sorted(strange)}")
        if set(inside.split()) - _HUSK or proto != "object":
            raise RuntimeError(f"the debugger's global still holds {inside}")
        for source, expected in (
            (_TRIAL, ("result", "", _TRIAL_RESULT)),
            ("Promise.reject(new TypeError('lost'))", ("failure", "unhandled", "TypeError: lost")),
        ):
            self._check(source)  # as a spell is, whose check finds its own parts compiled then
            realm, heard = self._trial()
            realm.begin(source, "self-test")
            realm.settle()
            op, name, payload = heard[-1] if heard else ("", "", "")
            if (op, name) != expected[:2] or expected[2] not in payload:
                raise RuntimeError(f"the engine's trial run ended with {heard}")

    def validate(self, start: Start) -> None:
        """Parse without running. Raises `ScriptFailure`."""
        if described := self._check(body(start.source)):
            raise syntax_failure(described, start.source)

    def execute(self, start: Start, session: Session) -> bytes:
        """Run the spell. Returns its value as msgpack; raises `ScriptFailure`."""
        self.validate(start)
        return Run(self._core, self._realm, start, session).value()

    def _check(self, source: str) -> str:
        """What is wrong with the syntax of a function's body; empty if nothing is."""
        # The body alone, so that no `}` in it can end the function around it.
        return str(self._parser.enter("check", 0, f'"use strict";\n{source}') or "")

    def _trial(self) -> tuple[Realm, list[tuple[str, str, str]]]:
        """A prelude whose host only listens."""
        heard: list[tuple[str, str, str]] = []

        def host(op: str, _number: float, name: str, payload: str) -> str:
            heard.append((str(op), str(name), payload.encode().decode()))
            return ""

        return Realm(self._core, self._prelude, host), heard


def _read(part: str) -> str:
    # Not by pathlib, whose import is a twentieth of a zygote's start.
    path = os.path.join(os.path.dirname(__file__), part)
    with open(path, encoding="utf-8") as file:
        return file.read()
