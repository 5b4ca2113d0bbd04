"""One run: what JavaScript asks of its host, the timers, and the loop that waits for both."""

from __future__ import annotations

import heapq
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Raw

from llmspell_protocol import (
    MAX_DEPTH,
    MAX_FUNCTIONS,
    MAX_NESTING,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
    Chunk,
    ErrorInfo,
    Invoke,
    Reply,
)

from ..._session import HostError
from ...library import LIBRARY
from .._conversion import REASONS, TOO_NESTED, UNKNOWN_FUNCTION, WEIGHT
from .._interface import ScriptFailure
from ._failure import error_of, failure, syntax_failure
from ._payload import from_msgpack, to_msgpack
from ._wait import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmspell_protocol import Binding, LogLevel, Start

    from ..._session import Answer, Session
    from ._core import NativeCore

WINDOW: Final = 16
"""Chunks of one stream that may be under way: hides a round trip, and a `break` wastes few."""

_STUCK: Final = "the spell waits for a promise that nothing will settle"

_LIBRARY: Final = '(async function(require){"use strict";\n'
"""Likewise for a library, whose `require` knows who asks."""

_STRICT: Final = '(async function(){"use strict";\n'
"""Makes a spell the body of an async function. It takes a line, so the spell's first is line 1."""


class Realm:
    """A fresh prelude: its `enter` function, and the arrays that it shares with the core."""

    def __init__(self, core: NativeCore, prelude: Any, host: Callable[..., str]) -> None:
        self.host = host
        """What JavaScript asks, from now on; may be another one when a spell comes."""
        self._core = core

        def ask(op: str, number: float, name: str, payload: str, *more: float) -> str:
            return self.host(op, number, name, payload, *more)

        self._enter = prelude(ask, json.dumps(_RULES))
        self._arrays = self.enter("jobs"), self.enter("rejections")
        self.attach()

    def attach(self) -> None:
        """Have jobs and rejections come here, no more to the realm that had them before."""
        self._core.attach(*self._arrays)

    def enter(self, op: str, number: int = 0, payload: Any = "") -> Any:
        """Call into JavaScript. Raises `ScriptFailure` if the engine itself gave up."""
        try:
            return self._enter(op, number, payload)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the core's error type is not to be imported
            raise _engine_failure(str(error)) from None

    def module(self, call: int, name: str, source: str) -> None:
        """Hand over the body of a library, for which `call` waits. Raises `ScriptFailure`."""
        described = self.enter("check", 0, f'"use strict";\n{source}')
        if described:
            failed = syntax_failure(str(described), source)
            text = f"{name}:{failed.line}: {failed.error.message}"
            self.enter("fault", call, _info(ErrorInfo("Script", text)))
            return
        try:
            main = self._core.evaluate(f"{_LIBRARY}{source}\n}})", name, 0)
        except Exception as error:  # noqa: BLE001 - as in `enter`
            raise _engine_failure(str(error)) from None
        self.enter("module", call, main)

    def begin(self, source: str, name: str) -> None:
        """Run a spell up to its first `await`."""
        try:
            main = self._core.evaluate(f"{_STRICT}{source}\n}})", name, 0)
        except Exception as error:  # noqa: BLE001 - likewise
            raise _engine_failure(str(error)) from None
        self.enter("run", 0, main)

    def settle(self) -> str:
        """Run promise jobs until there are none. Returns `done`, `wait` or `stuck`."""
        while True:
            while self._core.jobs:
                self._core.jobs = int(self.enter("drain"))
            state = str(self.enter("turn"))
            if state != "jobs":
                return state


_RULES: Final = {
    "reasons": {**REASONS, "type": REASONS["type"].split("%s")},
    "weight": WEIGHT,
    "text": WEIGHT_TEXT,
    "container": WEIGHT_CONTAINER,
    "depth": MAX_DEPTH,
    "functions": MAX_FUNCTIONS,
    "nesting": MAX_NESTING,
    "nested": TOO_NESTED,
    "unknown": UNKNOWN_FUNCTION,
}


class Run:
    """Drives one spell from its source to its value."""

    def __init__(self, core: NativeCore, realm: Realm, start: Start, session: Session) -> None:
        """`realm` has run nothing."""
        self._session = session
        self._start = start
        self._calls: dict[int, int] = {}  # the wire's number to the prelude's
        self._streams: dict[int, int] = {}  # the prelude's number to the wire's
        self._files: set[str] = set()
        """What the engine calls the libraries that were loaded."""
        self._libraries: dict[int, str] = {}  # the prelude's number to the name that was required
        self._waiting: deque[tuple[int, str, bytes, int]] = deque()
        self._due: list[tuple[float, int]] = []
        self._timers: dict[int, float] = {}
        self._value: bytes | None = None
        self._failure: ScriptFailure | None = None
        self._operations: dict[str, Callable[..., str]] = {
            "call": self._call, "stream": self._stream, "require": self._require,
            "credit": self._credit,
            "close": self._close, "library": self._library, "log": self._log,
            "timer": self._timer, "untimer": self._untimer, "result": self._result,
            "failure": self._fail, "give": self._give, "refuse": self._refuse,
        }  # fmt: skip
        self._core = core
        self._realm = realm
        realm.host = self._host_function()
        realm.attach()

    def value(self) -> bytes:
        """Run to the end; the value as msgpack. Raises `ScriptFailure`."""
        self._realm.enter("setup", 0, self._world())
        self._realm.enter("params", 0, from_msgpack(self._start.params))
        self._realm.begin(body(self._start.source), self._start.name)
        state = self._realm.settle()
        while state == "wait":
            for act in self._await_something():
                act()
                state = self._realm.settle()
                if state != "wait":
                    break
        if self._failure is not None:
            raise self._failure
        if self._value is None:
            raise _out_of_memory() if self._core.exhausted else _stuck()
        return self._value

    def _world(self) -> str:
        manifest = {bridge: _bound(bridge, m) for bridge, m in self._session.manifest.items()}
        world = {"manifest": manifest, "library": _NAMES, "env": self._start.env}
        return msgspec.json.encode(world).decode()

    # --- what comes from outside ------------------------------------------------------------------

    def _await_something(self) -> list[Callable[[], None]]:
        """Block until the host answers or a timer is due; what to do then, in order."""
        due = self._due[0][0] if self._due else None
        wait = None if due is None else max(0.0, due - time.monotonic())
        acts: list[Callable[[], None]] = []
        if readable(self._session.fileno(), wait):
            acts += [self._answering(m) for m in self._session.ready_messages()]
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            acts.append(self._firing(*heapq.heappop(self._due)))
        return acts

    def _answering(self, message: Answer) -> Callable[[], None]:
        return lambda: self._answer(message)

    def _firing(self, due: float, timer: int) -> Callable[[], None]:
        def fire() -> None:
            if self._timers.get(timer) == due:
                del self._timers[timer]
                self._realm.enter("timer", timer)

        return fire

    def _answer(self, message: Answer) -> None:
        if isinstance(message, Invoke):
            payload = msgspec.msgpack.encode([message.function, message.args])
            self._realm.enter("invoke", message.id, from_msgpack(payload))
            self._send_waiting()  # there is room for one call more
            return
        call = self._calls[message.id]
        if isinstance(message, Chunk):
            self._realm.enter("chunk", call, from_msgpack(message.value))
            return
        del self._calls[message.id]
        self._streams.pop(call, None)
        self._send_waiting()
        library = self._libraries.pop(call, None)
        if isinstance(message, Reply) and library is not None:
            source = msgspec.msgpack.decode(message.value, type=str)
            path = f"library/{library}.js"
            self._files.add(path)
            self._realm.module(call, path, source)
        elif isinstance(message, Reply):
            self._realm.enter("reply", call, from_msgpack(message.value))
        else:
            self._realm.enter("fault", call, _info(message.error))

    # --- what JavaScript asks ---------------------------------------------------------------------

    def _host_function(self) -> Callable[..., str]:
        """The one function that JavaScript gets. Never raises: the core would quote Python."""
        operations = self._operations

        def host(op: str, number: float, name: str, payload: str, *more: float) -> str:
            try:
                return operations[str(op)](int(number), str(name), payload, *more)
            except HostError as error:
                return "!" + _info(error.info)
            except MemoryError:
                return "!" + _info(ErrorInfo("Limit", "out of memory"))
            except Exception as error:  # noqa: BLE001 - our bug, and the spell must not see Python
                return "!" + _info(ErrorInfo("Internal", f"{type(error).__name__}: {error}"))

        return host

    def _call(self, number: int, method: str, payload: str, object_number: float) -> str:
        return self._open(number, method, _arguments(payload, int(object_number)), 0)

    def _stream(self, number: int, method: str, payload: str, object_number: float) -> str:
        return self._open(number, method, _arguments(payload, int(object_number)), WINDOW)

    def _require(self, number: int, method: str, payload: str, _object: float) -> str:
        args = to_msgpack(payload)
        refused = self._open(number, method, args, 0)
        names = msgspec.msgpack.decode(args)
        self._libraries[number] = str(names[0])
        return refused

    def _open(self, number: int, method: str, args: bytes, credit: int) -> str:
        if self._session.has_room():
            self._send(number, method, args, credit)
        else:
            # A spell may start as many as it likes; they take turns.
            self._waiting.append((number, method, args, credit))
        return ""

    def _send(self, number: int, method: str, args: bytes, credit: int) -> None:
        wire = self._session.call(method, args, credit)
        self._calls[wire] = number
        if credit:
            self._streams[number] = wire

    def _send_waiting(self) -> None:
        while self._waiting and self._session.has_room():
            number, method, args, credit = self._waiting.popleft()
            try:
                self._send(number, method, args, credit)
            except HostError as error:
                self._realm.enter("fault", number, _info(error.info))

    def _credit(self, number: int, _name: str, payload: str) -> str:
        if number in self._streams:
            self._session.credit(self._streams[number], int(payload))
        return ""

    def _close(self, number: int, _name: str, _payload: str) -> str:
        if number in self._streams:
            self._session.close(self._streams[number])
            return ""
        self._waiting = deque(call for call in self._waiting if call[0] != number)
        return "unsent"

    def _library(self, _number: int, method: str, payload: str) -> str:
        return from_msgpack(self._session.library(method, to_msgpack(payload)))

    def _log(self, _number: int, level: str, payload: str) -> str:
        self._session.log(cast("LogLevel", level), payload.encode().decode())
        return ""

    def _timer(self, number: int, _name: str, payload: str) -> str:
        due = time.monotonic() + float(payload) / 1000
        self._timers[number] = due
        heapq.heappush(self._due, (due, number))
        return ""

    def _untimer(self, number: int, _name: str, _payload: str) -> str:
        self._timers.pop(number, None)
        return ""

    def _result(self, _number: int, _name: str, payload: str) -> str:
        self._value = to_msgpack(payload)
        return ""

    def _give(self, number: int, _name: str, payload: str) -> str:
        self._session.give(number, to_msgpack(payload))
        return ""

    def _refuse(self, number: int, _name: str, payload: str) -> str:
        self._session.refuse(number, error_of(payload, self._start.name, self._files))
        return ""

    def _fail(self, _number: int, cause: str, payload: str) -> str:
        if self._failure is None:
            self._failure = failure(cause, payload, self._start.name, self._files)
        return ""


def _arguments(payload: str, object_number: int) -> bytes:
    """The arguments of a call, after the number of the object whose method it is, if it is one."""
    args = to_msgpack(payload)
    if not object_number:
        return args
    return msgspec.msgpack.encode([object_number, *msgspec.msgpack.decode(args, type=list[Raw])])


def _bound(bridge: str, methods: Mapping[str, Binding]) -> dict[str, Any]:
    """The methods of a bridge, and those of its kinds of object, as `bridgeTable` takes them.

    Each in camel case and as it is declared: tools go by the names that models know them by.
    """
    plain: list[Any] = []
    kinds: dict[str, list[Any]] = {}
    for name, binding in methods.items():
        kind, dot, method = name.rpartition(".")
        bound = kinds.setdefault(kind, []) if dot else plain
        for spelled in dict.fromkeys((camel(method), method)):
            bound.append([spelled, f"{bridge}.{name}", binding])
    return {"methods": plain, "kinds": kinds}


def camel(name: str) -> str:
    """`list_models` as JavaScript writes it: `listModels`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_NAMES: Final = {
    module: {name: camel(name) for name in functions} for module, functions in LIBRARY.items()
}
"""The library's functions, as JavaScript writes them."""


def body(source: str) -> str:
    """The spell without its `#!`; every character keeps its place."""
    return "//" + source[2:] if source.startswith("#!") else source


def _info(info: ErrorInfo) -> str:
    fields = {name: getattr(info, name) for name in info.__struct_fields__}
    return msgspec.json.encode(fields).decode()


def _out_of_memory() -> ScriptFailure:
    return ScriptFailure("memory", ErrorInfo("Script", "out of memory"))


def _stuck() -> ScriptFailure:
    return ScriptFailure("error", ErrorInfo("Script", _STUCK))


def _engine_failure(text: str) -> ScriptFailure:
    """The engine failed where no script could catch it."""
    if "out of memory" in text:
        return _out_of_memory()
    return ScriptFailure(
        "error", ErrorInfo("Script", text.strip().splitlines()[-1] if text else "?")
    )
