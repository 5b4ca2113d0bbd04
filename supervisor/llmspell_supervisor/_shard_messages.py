"""What the front and a shard say to each other. `run` is the number of the run that it is about."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from llmspell_bridges import Planned

from ._errors import SupervisorError
from ._job import Job
from ._pool import PoolSize
from ._record import CallRecord
from ._report import LogEntry, Problem, RunReport, Usage
from ._verdict import Verdict


class Setup(Struct, frozen=True, kw_only=True):
    """What a shard is started with."""

    front: int
    """Process identifier of the front: the shard lives as long."""
    shards: int
    """How many there are: what is counted for all of them is divided."""
    bridges: dict[str, Any]
    """Settings by bridge, from the config."""
    model: str | None
    pool: PoolSize
    levels: dict[str, int]
    """Level by the name of a logger, `root` among them."""


class Stop(Struct, frozen=True, array_like=True, tag=True):
    """End the run: with the verdict `cancelled`, or because nobody waits for it (`abandon`)."""

    run: int
    abandon: bool


class Heard(Struct, frozen=True, array_like=True, tag=True):
    """One call of the run has been heard of by all who observe it."""

    run: int


class Begin(Struct, frozen=True, array_like=True, tag=True):
    """Run a spell."""

    run: int
    name: str
    source: str
    engine: str
    path: bytes | None
    """As the kernel has it: a path need not be text."""
    params: bytes
    policy: bytes
    """Msgpack of a `Policy`; most runs have the one of the run before."""
    env: dict[str, str]
    mode: Literal["execute", "validate"]
    dry_run: bool
    logs: bool
    """Whether console entries are wanted as they come; else they are in the outcome."""
    activity: bool
    calls: bool


ToShard = Begin | Stop | Heard


class Opened(Struct, frozen=True, array_like=True, tag=True):
    """The shard takes runs."""


class Started(Struct, frozen=True, array_like=True, tag=True):
    """The worker is sent the script now: no other one may be."""

    run: int


class Active(Struct, frozen=True, array_like=True, tag=True):
    """What the run is doing."""

    run: int
    word: str


class Said(Struct, frozen=True, array_like=True, tag=True):
    """One console entry."""

    run: int
    entry: LogEntry


class Called(Struct, frozen=True, array_like=True, tag=True):
    """One call is over. Its answer waits for `Heard`."""

    run: int
    record: CallRecord


class Ended(Struct, frozen=True, array_like=True, tag=True):
    """The run is over: its report without what the front knows itself."""

    run: int
    verdict: Verdict
    value: Any = None
    problem: Problem | None = None
    logs: tuple[LogEntry, ...] = ()
    """Empty if they were wanted as they came."""
    usage: Usage = field(default_factory=Usage)
    planned: tuple[Planned, ...] = ()
    unlisted: int = 0
    layers: dict[str, str] = field(default_factory=dict)


class Failed(Struct, frozen=True, array_like=True, tag=True):
    """An error instead of a report; or of the shard itself, before it was open (`run` is 0)."""

    run: int
    kind: str
    message: str
    hint: str
    fields: dict[str, str | int | None]
    """What errors of this type say besides."""


class Abandoned(Struct, frozen=True, array_like=True, tag=True):
    """A run that was stopped is over without a report, its worker dead if it had one."""

    run: int


class Logged(Struct, frozen=True, array_like=True, tag=True):
    """A record of the standard library's logging, its text complete."""

    fields: dict[str, str | int | float | None]


ToFront = Opened | Started | Active | Said | Called | Ended | Failed | Abandoned | Logged


# --- to and fro -----------------------------------------------------------------------------------


def begin(job: Job, packed: bytes) -> Begin:
    """The message that asks for a run; `packed` is its policy."""
    spell = job.spell
    return Begin(
        job.number,
        spell.name,
        spell.source,
        spell.engine,
        None if spell.path is None else os.fsencode(spell.path),
        job.params,
        packed,
        dict(job.env),
        job.mode,
        job.dry_run,
        job.on_log is not None,
        job.on_activity is not None,
        bool(job.observers),
    )


def ended(run: int, report: RunReport, *, logs: bool) -> Ended:
    """The message of a report; `logs` are left out where the front has them."""
    return Ended(
        run,
        report.verdict,
        report.value,
        report.problem,
        report.logs if logs else (),
        report.usage,
        report.planned,
        report.unlisted,
        report.layers,
    )


def report_of(end: Ended, job: Job, logs: list[LogEntry]) -> RunReport:
    """The report of a message; `logs` are those that came before it."""
    return RunReport(
        spell=job.spell.name,
        engine=job.spell.engine,
        verdict=end.verdict,
        value=end.value,
        problem=end.problem,
        logs=(*logs, *end.logs),
        usage=end.usage,
        policy=job.policy,
        dry_run=job.dry_run,
        planned=end.planned,
        unlisted=end.unlisted,
        layers=end.layers,
    )


def failed(run: int, error: Exception) -> Failed:
    """The message of an error; one that is not ours is a bug, and named as what it is."""
    if not isinstance(error, SupervisorError):
        text = f"{type(error).__name__}: {error}"
        return Failed(run, SupervisorError.__name__, _text(text), "", {})
    fields = {name: value for name, value in vars(error).items() if name not in {"message", "hint"}}
    return Failed(
        run,
        type(error).__name__,
        _text(error.message),
        _text(error.hint),
        {
            name: _text(value) if isinstance(value, str) else value
            for name, value in fields.items()
            if value is None or isinstance(value, str | int)
        },
    )


def error_of(message: Failed) -> SupervisorError:
    """The error of a message, of the same type and with the same fields."""
    kind = _types().get(message.kind, SupervisorError)
    error = kind.__new__(kind)
    SupervisorError.__init__(error, message.message, message.hint)
    vars(error).update(message.fields)
    return error


def _types() -> dict[str, type[SupervisorError]]:
    found: dict[str, type[SupervisorError]] = {}
    left = [SupervisorError]
    while left:
        kind = left.pop()
        found[kind.__name__] = kind
        left += kind.__subclasses__()
    return found


def sendable(record: CallRecord) -> CallRecord:
    """A record whose details msgpack can hold, whatever a bridge has noted."""
    return msgspec.structs.replace(
        record, detail={_text(k): _plain(v) for k, v in record.detail.items()}
    )


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return max(-(1 << 63), min(value, (1 << 64) - 1))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {_text(str(k)): _plain(v) for k, v in value.items()}
    return _text(str(value))


def _text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


_KEPT = [
    "name",
    "levelno",
    "levelname",
    "created",
    "msecs",
    "process",
    "processName",
    "thread",
    "threadName",
    "pathname",
    "filename",
    "module",
    "lineno",
    "funcName",
    "exc_text",
    "stack_info",
]


def logged(record: logging.LogRecord) -> Logged:
    """The message of a record; what it was called with is written out."""
    fields = {name: getattr(record, name, None) for name in _KEPT}
    fields["msg"] = record.getMessage()
    if record.exc_info and not record.exc_text:
        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    return Logged({k: _text(v) if isinstance(v, str) else v for k, v in fields.items()})


def log(message: Logged) -> None:
    """Log a record here as if it had been made here."""
    record = logging.makeLogRecord(dict(message.fields))
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
