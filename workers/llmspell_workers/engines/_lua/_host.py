"""The one function that Lua may call: strings and integers in, one string or integer out.

Everything that a spell does beyond computing comes through `Host.cross`, which never raises: a
Python exception would reach Lua as a Python object. Its answer is one status byte and one msgpack
value, in a single string, because every string is an allocation in Lua's memory and only the one
that was checked beforehand cannot fail. A failing allocation would jump out of Python's frames.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmspell_protocol import NULL, Chunk, ErrorInfo, Fault, Invoke, pack

from ...library import HostError, call_library
from .._interface import ScriptFailure, is_exhausted
from ._failure import MEMORY, OUT_OF_MEMORY, error_of, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lupa.lua54 import LuaRuntime  # type: ignore[import-untyped]

    from llmspell_protocol import Reply, Start

    from ..._session import Session

_DONE: Final = b"\0"
_FAULT: Final = b"\1"
_END: Final = b"\2"

_INVOKE: Final = b"\3"
"""No answer yet: the host calls a function. Its number follows that of the invocation, then args."""

_invocation: Final = struct.Struct(">QQ").pack

_NO_ROOM: Final = -1
"""The answer does not fit into the spell's memory; an integer needs none."""

_NO_MEMORY: Final = ErrorInfo("Limit", OUT_OF_MEMORY)
"""Why a function was not run."""

_MARGIN: Final = 4096
"""Bytes that Lua may want beside an answer's own: its header, a longer stack."""

STREAM_CREDIT: Final = 16
"""Chunks under way of one stream: enough to hide the pipe's delay, few enough to bound memory."""

_REFILL: Final = STREAM_CREDIT // 2
"""Consumed chunks that are handed back at once, so that credit frames are few."""

_MAX_CHUNK_NAME: Final = 50
"""Bytes of a script's name that Lua keeps whole in messages (LUA_IDSIZE is 60)."""


class Host:
    """One run's side of the function, and what came of the run."""

    def __init__(self, runtime: LuaRuntime, start: Start, session: Session | None) -> None:
        self.value: bytes | None = None
        self.failure: ScriptFailure | None = None
        self._runtime = runtime
        self._start = start
        self._session = session
        self._answers: dict[int, Reply | Fault] = {}
        self._chunks: dict[int, deque[bytes]] = {}  # of open streams
        self._consumed: dict[int, int] = {}
        self._suspended: dict[int, Callable[[], bytes]] = {}
        """By the invocation that came in between: the waits that go on when it is answered."""
        self._operations: dict[bytes, Callable[..., bytes]] = {
            b"start": self._begin,
            b"library": self._library,
            b"result": self._result,
            b"syntax": self._syntax,
            b"error": self._error,
            b"unconvertible": self._unconvertible,
            b"abandoned": self._abandoned,
        }
        if session is not None:
            self._operations |= {
                b"call": self._call,
                b"open": self._open,
                b"next": self._next,
                b"close": self._close,
                b"log": self._log,
                b"give": self._give,
                b"refuse": self._refuse,
            }

    @property
    def chunk(self) -> str:
        """How Lua names the script in messages."""
        name = self._start.name
        return name if len(name.encode()) <= _MAX_CHUNK_NAME else "..." + name[-12:]

    def cross(self, operation: bytes, *arguments: Any) -> bytes | int:
        """What Lua calls. Never raises."""
        try:
            answer = self._operations[operation](*arguments)
        except HostError as error:
            answer = _FAULT + msgspec.msgpack.encode(error.info)
        except MemoryError:  # the process's limit came before the spell's
            return _NO_ROOM
        except Exception as error:  # noqa: BLE001 - a bug of ours; a spell gets no Python object
            if is_exhausted():
                return _NO_ROOM
            info = ErrorInfo("Internal", f"the worker failed: {type(error).__name__}")
            answer = _FAULT + msgspec.msgpack.encode(info)
        return answer if self._fits(len(answer)) else _NO_ROOM

    def _fits(self, size: int) -> bool:
        runtime = self._runtime
        limit = runtime.get_max_memory()
        if runtime.get_memory_used() + size + _MARGIN < limit:
            return True
        runtime.gccollect()
        return bool(runtime.get_memory_used() + size + _MARGIN < limit)

    # --- a run's beginning and end -------------------------------------------------------------

    def _begin(self) -> bytes:
        start = self._start
        fields = [start.mode, self.chunk, start.source, start.params, start.env, start.manifest]
        return _DONE + msgspec.msgpack.encode(fields)

    def _result(self, value: bytes) -> bytes:
        self.value = value
        return _DONE

    def _syntax(self, report: bytes) -> bytes:
        self.failure = failure_of("syntax", report, self._start, self.chunk)
        return _DONE

    def _error(self, report: bytes) -> bytes:
        self.failure = failure_of("error", report, self._start, self.chunk)
        return _DONE

    def _unconvertible(self, report: bytes) -> bytes:
        self.failure = failure_of("conversion", report, self._start, self.chunk)
        return _DONE

    def _abandoned(self, problem: bytes) -> bytes:
        text = problem.decode("utf-8", "replace")
        self.failure = ScriptFailure("error", ErrorInfo("Internal", text)) if text else MEMORY
        return _DONE

    # --- what a spell calls --------------------------------------------------------------------

    @property
    def _pipe(self) -> Session:
        assert self._session is not None  # validation runs no script, so nothing calls
        return self._session

    def _library(self, method: bytes, args: bytes) -> bytes:
        return _DONE + call_library(method.decode(), args)

    def _log(self, level: bytes, text: bytes) -> bytes:
        self._pipe.log(level.decode(), text.decode("utf-8", "replace"))  # type: ignore[arg-type]
        return _DONE

    def _call(self, method: bytes, args: bytes) -> bytes:
        return self._answer(self._send(method, args, 0), _DONE)

    def _open(self, method: bytes, args: bytes) -> bytes:
        number = self._send(method, args, STREAM_CREDIT)
        self._chunks[number] = deque()
        self._consumed[number] = 0
        return _DONE + pack(number)

    def _next(self, number: int) -> bytes:
        if number not in self._chunks:  # ended by a function that ran while it was waited for
            return _END + NULL
        chunks = self._chunks[number]
        while not chunks and number not in self._answers:
            if (invoke := self._receive()) is not None:
                return self._suspend(invoke, lambda: self._next(number))
        if not chunks:
            self._forget(number)
            return self._answer(number, _END)
        self._consumed[number] += 1
        if self._consumed[number] == _REFILL:
            self._consumed[number] = 0
            self._pipe.credit(number, _REFILL)
        return _DONE + chunks.popleft()

    def _close(self, number: int) -> bytes:
        """Returns once the host has answered, so that the call is no longer open."""
        self._forget(number)
        self._pipe.close(number)
        return self._closed(number)

    def _closed(self, number: int) -> bytes:
        while number not in self._answers:
            if (invoke := self._receive()) is not None:
                return self._suspend(invoke, lambda: self._closed(number))
        del self._answers[number]
        return _DONE

    def _forget(self, number: int) -> None:
        del self._chunks[number]
        del self._consumed[number]

    def _send(self, method: bytes, args: bytes, credit: int) -> int:
        return self._pipe.call(method.decode(), args, credit)

    def _answer(self, number: int, status: bytes) -> bytes:
        """The value of a call, once it is here. Raises `HostError` for a fault."""
        while number not in self._answers:
            if (invoke := self._receive()) is not None:
                return self._suspend(invoke, lambda: self._answer(number, status))
        answer = self._answers.pop(number)
        if isinstance(answer, Fault):
            raise HostError(answer.error)
        return b"".join((status, answer.value))

    def _receive(self) -> Invoke | None:
        """Keep the next message for whom it concerns; an invocation concerns who waits now."""
        message = self._pipe.next_message()
        if isinstance(message, Invoke):
            return message
        if not isinstance(message, Chunk):
            self._answers[message.id] = message
        elif message.id in self._chunks:  # or it was under way when the stream was closed
            self._chunks[message.id].append(bytes(message.value))
        return None

    # --- what the host calls -------------------------------------------------------------------

    def _suspend(self, invoke: Invoke, wait: Callable[[], bytes]) -> bytes:
        """Have Lua run a function; `wait` goes on when it says what came of it."""
        answer = _INVOKE + _invocation(invoke.id, invoke.function) + bytes(invoke.args)
        if not self._fits(len(answer)):
            self._pipe.refuse(invoke.id, _NO_MEMORY)
            return wait()
        self._suspended[invoke.id] = wait
        return answer

    def _give(self, invocation: int, value: bytes) -> bytes:
        wait = self._suspended.pop(invocation)
        self._pipe.give(invocation, value)
        return wait()

    def _refuse(self, invocation: int, report: bytes) -> bytes:
        wait = self._suspended.pop(invocation)
        error = error_of(report, self._start, self.chunk) if report else _NO_MEMORY
        self._pipe.refuse(invocation, error)
        return wait()
