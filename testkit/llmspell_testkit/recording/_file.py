"""A recorded run as a file: JSON with a version, which a person can read and a diff can show.

JSON has no bytes: they are `{"@bytes": "base64"}`, and a map whose only key begins with `@` is
`{"@map": {...}}`, but for functions and objects of a script (`{"@function": 1}`), which are so on the
wire already. Values that must not be kept (`_redaction`) are `[redacted NAME]`.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Struct

from llmspell_protocol import ErrorInfo, ErrorKind, ValueRejected, pack
from llmspell_supervisor import Policy, Spell, UsageError
from llmspell_supervisor._files import read_regular
from llmspell_supervisor._policy import MIB
from llmspell_supervisor._text import escape_line

from ._clock import WAIT
from ._trace import Ended, Step, Traced

FORMAT: Final = "llmspell recording"
VERSION: Final = 1
MAX_FILE: Final = 256 * MIB
"""Bytes of a recording that is read: a few of the longest answers that there may be."""
_HANDLES: Final = ("@function", "@object")


class Fault(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An error, with names."""

    kind: ErrorKind
    message: str
    retryable: bool = False
    retry_after: float | None = None
    field: str | None = None
    duration: float | None = None


class Event(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """As `Step`."""

    at: int
    kind: Literal["chunk", "invoke"]
    value: Any = None
    function: int = 0
    args: list[Any] = []
    error: Fault | None = None


class Recorded(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """As `Traced`."""

    method: str
    args: list[Any]
    at: int
    ended: Ended
    ended_at: int = 0
    value: Any = None
    error: Fault | None = None
    budget: tuple[Literal["tokens", "cost", "calls"], float, float] | None = None
    steps: list[Event] = []


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    """The spell."""

    name: str
    engine: str
    sha256: str
    source: str


class Ending(Struct, frozen=True, forbid_unknown_fields=True):
    """What the run came to, without what no two runs share."""

    verdict: str
    value: Any
    logs: list[tuple[str, str]]
    """Level and text."""
    problem: dict[str, Any] | None


Draw = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class Recording(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run, as it is kept."""

    format: Literal["llmspell recording"] = FORMAT
    version: int = VERSION
    spell: Text
    params: dict[str, Any]
    env: dict[str, str]
    """Names, and what stands for the values."""
    bridges: list[str]
    """Bridges and methods that the spell was granted."""
    limits: dict[str, Any]
    """Fields of the policy that were not the default."""
    seed: tuple[Draw, Draw, Draw, Draw]
    clock: int
    """When the run began, in milliseconds since 1970."""
    wall: float
    """Seconds that it took."""
    calls: list[Recorded]
    result: Ending


def text_of(spell: Spell, source: str) -> Text:
    """A spell as it is kept; `source` is its text without secrets."""
    digest = hashlib.sha256(spell.source.encode()).hexdigest()
    return Text(spell.name, spell.engine, digest, source)


def made(recording: Recording) -> list[Recorded]:
    """The calls that the spell itself made: timers are ours."""
    return [call for call in recording.calls if call.method != WAIT]


def save(path: str, recording: Recording) -> None:
    """Write a recording. Raises `UsageError` where that fails."""
    data = msgspec.json.format(msgspec.json.encode(recording), indent=1)
    try:
        # It holds what a model was asked: its owner's business.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as file:
            file.write(data + b"\n")
    except OSError as error:
        raise UsageError(f"{escape_line(path)} cannot be written: {error.strerror}") from None


def load(path: str) -> Recording:
    """Read a recording. Raises `UsageError` that says what is wrong with the file."""
    shown = escape_line(path)
    data = read_regular(path, MAX_FILE, UsageError)
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UsageError(f"{shown} is no recording", "record writes one") from None
    if head.version != VERSION:
        raise UsageError(
            f"{shown} has version {head.version} of recordings; known is {VERSION}", "record again"
        )
    try:
        recording = msgspec.json.decode(data, type=Recording)
        _check(recording)
    except (ValueError, ValueRejected) as error:  # msgspec's own is one
        raise UsageError(f"{shown}: {escape_line(str(error))}", "record again") from None
    return recording


def _check(recording: Recording) -> None:
    """Whether everything in it can be served. Raises `ValueError` or `ValueRejected`."""
    Policy(**recording.limits)
    values = [recording.params, *(call.value for call in recording.calls)]
    for step in (step for call in recording.calls for step in call.steps):
        values += [step.value, step.args]
    for value in values:
        pack(from_json(value))


class _Head(Struct):
    format: Literal["llmspell recording"]
    version: int


# --- values -----------------------------------------------------------------------------------


def to_json(value: Any) -> Any:
    """A `ScriptValue` as JSON can hold it."""
    if isinstance(value, bytes):
        return {"@bytes": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        made = {key: to_json(item) for key, item in value.items()}
        return {"@map": made} if _is_marked(value) else made
    return value


def from_json(value: Any) -> Any:
    """The inverse of `to_json`."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"@bytes"}:
        return base64.b64decode(value["@bytes"])
    if value.keys() == {"@map"}:
        value = value["@map"]
    return {key: from_json(item) for key, item in value.items()}


def _is_marked(value: dict[str, Any]) -> bool:
    key = next(iter(value), "")
    return len(value) == 1 and key.startswith("@") and key not in _HANDLES


def recorded(call: Traced) -> Recorded:
    """A call as it is kept."""
    return Recorded(
        method=call.method,
        args=to_json(call.args),
        at=call.at,
        ended=call.ended,
        ended_at=call.ended_at,
        value=to_json(call.value),
        error=_fault(call.error),
        budget=call.budget,
        steps=[_event(step) for step in call.steps],
    )


def _event(step: Step) -> Event:
    return Event(
        step.at,
        step.kind,
        to_json(step.value),
        step.function,
        to_json(step.args),
        _fault(step.error),
    )


def _fault(error: ErrorInfo | None) -> Fault | None:
    return None if error is None else Fault(**msgspec.structs.asdict(error))
