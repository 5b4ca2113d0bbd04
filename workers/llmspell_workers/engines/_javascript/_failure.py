"""From what the engine says of an error to `ScriptFailure`: the spell's own lines, and no other."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final, cast, get_args

import msgspec
from msgspec import structs

from llmspell_protocol import ErrorInfo, ErrorKind, FailureCause

from .._interface import ScriptFailure

PRELUDE: Final = "llmspell:prelude"
"""How the engine calls our own code; such frames are never shown."""

CHECK_LINES: Final = 3
"""Lines that `AsyncFunction` and the strict directive put before the first of the spell's."""

_FRAME: Final = re.compile(
    r"^(?P<wait>async\*)?(?P<function>.*?)@(?P<file>.*):(?P<line>\d+):(?P<column>\d+)$"
)
_SHOWN_FRAMES: Final = 20
"""Of an endless recursion the first few tell as much as all."""
_CAUSES: Final = frozenset(get_args(FailureCause))
_MODULES: Final = re.compile(r"SyntaxError: (import|export) declarations may only appear")
_DYNAMIC_IMPORT: Final = "Dynamic module import is disabled"
_NO_MODULES: Final = "a spell is one file; it has no modules to import, and exports nothing"


class Described(msgspec.Struct):
    """An error, as `describe` in `runtime.js` puts it."""

    message: str
    kind: ErrorKind = "Script"
    retryable: bool | None = False
    retry_after: float | None = None
    field: str | None = None
    duration: float | None = None
    stack: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None

    def info(self) -> ErrorInfo:
        """The error as scripts and the host see it."""
        return ErrorInfo(
            self.kind,
            self.message,
            bool(self.retryable),
            self.retry_after,
            self.field,
            self.duration,
        )


_decode: Final = msgspec.json.Decoder(Described).decode


def failure(cause: str, payload: str, name: str, libraries: AbstractSet[str]) -> ScriptFailure:
    """The end of a run of the spell `name`, which has loaded the files `libraries`."""
    error = _decode(payload.encode())
    frames = [found for line in error.stack.split("\n") if (found := _FRAME.match(line))]
    shown = [frame for frame in frames if frame["file"] != PRELUDE]
    line, column = (error.line, error.column) if error.file == name else (None, None)
    if line is None:
        line, column = _position(shown, name)
    stack = "\n".join(_show(frame) for frame in shown[:_SHOWN_FRAMES]) or None
    info = error.info()
    if shown and shown[0]["file"] in libraries:
        # Raised in a library: the spell's line is where it used it, as in other languages.
        place = f"{shown[0]['file']}:{shown[0]['line']}: "
        info = structs.replace(info, message=place + info.message)
    if error.message.startswith(_DYNAMIC_IMPORT):
        cause, info = "unsupported", ErrorInfo("Script", _NO_MODULES)
    assert cause in _CAUSES
    return ScriptFailure(cast("FailureCause", cause), info, line=line, column=column, stack=stack)


def error_of(payload: str, name: str, libraries: AbstractSet[str]) -> ErrorInfo:
    """What a function that the host called has thrown. An error of the script's says where."""
    failed = failure("error", payload, name, libraries)
    placed = any(failed.error.message.startswith(f"{file}:") for file in libraries)
    if failed.error.kind != "Script" or failed.line is None or placed:
        return failed.error
    message = f"{name}:{failed.line}: {failed.error.message}"
    return structs.replace(failed.error, message=message)


def syntax_failure(payload: str, source: str) -> ScriptFailure:
    """The spell does not parse. The position is inside `source`."""
    error = _decode(payload.encode())
    lines = source.split("\n")
    line, column = error.line, error.column
    if line is not None:
        line = max(line - CHECK_LINES, 1)
        if line > len(lines):  # the end came too early, and what follows it is ours
            line, column = len(lines), len(lines[-1]) + 1
    text = f"SyntaxError: {_NO_MODULES}" if _MODULES.match(error.message) else error.message
    cause: FailureCause = "syntax" if text.startswith("SyntaxError") else "error"
    return ScriptFailure(cause, ErrorInfo("Script", text), line=line, column=column)


def _position(frames: list[re.Match[str]], name: str) -> tuple[int | None, int | None]:
    for frame in frames:
        if frame["file"] == name:
            return int(frame["line"]), int(frame["column"])
    return None, None


def _show(frame: re.Match[str]) -> str:
    place = f"{frame['file']}:{frame['line']}:{frame['column']}"
    wait = "async " if frame["wait"] else ""
    return f"at {wait}{frame['function']} ({place})" if frame["function"] else f"at {wait}{place}"
