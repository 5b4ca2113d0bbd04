"""What the prelude reports of a script that ended badly, as a `ScriptFailure`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from llmspell_protocol import ErrorInfo, ErrorKind, FailureCause

from .._interface import ScriptFailure

if TYPE_CHECKING:
    from llmspell_protocol import Start

OUT_OF_MEMORY: Final = "not enough memory"
"""Lua's own words (lmem.c); no other message of Lua's ends in them."""

MAX_MESSAGE: Final = 8192
"""Characters of an error's message: what a person may read. A spell can raise any string."""

MAX_STACK: Final = 4096
"""Characters of a stack: twenty frames with names of usual length."""

_KINDS: Final = frozenset(get_args(ErrorKind))

_NEAR: Final = re.compile(r" near '?(?P<token>.+?)'?$", re.DOTALL)

_MEMORY_ERROR: Final = ErrorInfo("Script", "out of memory")

MEMORY: Final = ScriptFailure("memory", _MEMORY_ERROR)
"""For when not even a report found room."""


class Report(msgspec.Struct, array_like=True, frozen=True):
    """The prelude's report. Text comes as octets, since a spell can raise what is no text."""

    message: bytes
    kind: bytes
    retryable: bool
    retry_after: float | None
    field: bytes | None
    duration: float | None
    line: int | None
    stack: bytes


_decode: Final = msgspec.msgpack.Decoder(Report).decode


def failure_of(cause: FailureCause, report: bytes, start: Start, chunk: str) -> ScriptFailure:
    """The failure that a report tells of. `chunk` is how Lua names the script in messages."""
    told = _decode(report)
    line, message = _split(_text(told.message, MAX_MESSAGE), chunk)
    if message.endswith(OUT_OF_MEMORY):
        return ScriptFailure("memory", _MEMORY_ERROR, line=line or told.line)
    error = ErrorInfo(
        _kind(told.kind),
        message,
        told.retryable,
        told.retry_after,
        None if told.field is None else _text(told.field, MAX_MESSAGE),
        told.duration,
    )
    if cause == "syntax":
        line = line or 1  # binary chunks are refused without one
        column = _column(start.source, line, message)
        return ScriptFailure("syntax", error, line=line, column=column)
    stack = _text(told.stack, MAX_STACK) or None
    return ScriptFailure(cause, error, line=line or told.line, stack=stack)


def error_of(report: bytes, start: Start, chunk: str) -> ErrorInfo:
    """What a function that the host called has raised. An error of the script's says where."""
    failed = failure_of("error", report, start, chunk)
    if failed.error.kind != "Script" or failed.line is None:
        return failed.error
    return msgspec.structs.replace(
        failed.error, message=f"{start.name}:{failed.line}: {failed.error.message}"
    )


def _text(octets: bytes, limit: int) -> str:
    text = octets[: 4 * limit].decode("utf-8", "replace")
    return text if len(text) <= limit else text[:limit] + "..."


def _kind(name: bytes) -> ErrorKind:
    """The kind, unless a spell wrote something else into one of our errors."""
    text = name.decode("utf-8", "replace")
    return text if text in _KINDS else "Script"  # type: ignore[return-value]


def _split(message: str, chunk: str) -> tuple[int | None, str]:
    """The line of the script's own prefix, and the message without it.

    An error that was raised again carries several: the last says where it began.
    """
    line = None
    prefix = re.compile(re.escape(chunk) + r":(\d+): ")
    while found := prefix.match(message):
        line, message = int(found[1]), message[found.end() :]
    return line, message


def _column(source: str, line: int, message: str) -> int:
    """The column of the token that Lua stumbled over; Lua itself gives only the line.

    `<eof>` is behind its line's end; where another token is not in its line, the first column that
    is not blank.
    """
    text = source.split("\n")[line - 1]
    if message.endswith(" near <eof>"):
        return len(text) + 1
    near = _NEAR.search(message)
    at = text.rfind(near["token"]) if near else -1
    return (at if at >= 0 else len(text) - len(text.lstrip())) + 1
