"""The audit log: one line of JSON for each call, each bound to the one before by its hash.

Three kinds of record: `begin` and `end` of a run, and between them a `call` for each bridge call,
written before its answer is sent, so that no spell sees an answer which the log does not hold.
Arguments and answers are in it by size and hash only; what else a record says, a bridge has named
(`CallContext.note`). Every text is cut to a bound and encoded as JSON: no newline in it ends a line.

`hash` is the last field of a record: SHA-256 over the line up to it, the `prev` inside included.
Whoever changes, removes or inserts a line must therefore rewrite all that follow it, and cannot
where the last hash is known elsewhere. The log has no key: it shows tampering to whoever kept a
hash, and accidents to everybody.

Several supervisors may share a file: each record is one write(2) with O_APPEND under a lock
(flock(2)), after a look at what others have written since. What cannot be written ends the run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec
from msgspec import Struct, structs

from ._errors import AuditError
from ._policy import KIB
from ._text import escape_json, escape_line, truncate
from ._units import format_size

if TYPE_CHECKING:
    from ._record import CallRecord
    from ._report import RunReport, Usage
    from ._spell import Spell

MAX_LINE: Final = 64 * KIB
"""Bytes of one record: room for every field at its bound, each character escaped."""
MAX_NOTE: Final = 256
"""Characters of one text in a record: a host, a path, a model."""
MAX_NOTES: Final = 16
"""Facts that a bridge may add to one record."""
FIRST: Final = "0" * 64
"""The `prev` of the first record."""
LOCK_TRIES: Final = 200
LOCK_PAUSE: Final = 0.0005
"""Seconds between tries for the lock, which is held for the tens of microseconds of one write: a
tenth of a second in all, and then whoever holds it is no supervisor of ours at work."""

_MARK: Final = b',"hash":"'
_TAIL: Final = len(_MARK) + 64 + len(b'"}')


class Trail:
    """The records of one run, from its `begin`, which stands when there is a trail, to its `end`."""

    def __init__(self, log: AuditLog, run: str, spell: Spell) -> None:
        self._log = log
        self._lost: AuditError | None = None
        """Why a record is missing: a run of which one is has no end in the log, and is no success."""
        self._about = {
            "run": run,
            "spell": _text(spell.name),
            "sha256": hashlib.sha256(spell.source.encode()).hexdigest(),
        }
        self._log.append("begin", {**self._about, "engine": spell.engine})

    def call(self, record: CallRecord) -> None:
        """Raises `AuditError`: the run must end then."""
        detail = _detail(record.detail)
        try:
            self._log.append("call", {**self._about, **structs.asdict(record), "detail": detail})
        except AuditError as error:
            self._lost = self._lost or error
            raise

    def end(self, report: RunReport) -> None:
        """Raises `AuditError`: the report is not the last word then."""
        self.broke(report.verdict, report.usage)

    def broke(self, verdict: str, usage: Usage | None = None) -> None:
        """The end of a run that may have left no report. Raises `AuditError`."""
        if self._lost is not None:
            raise self._lost
        used = structs.asdict(usage) if usage else {}
        self._log.append("end", {**self._about, "verdict": verdict, "usage": used})


class AuditLog:
    """A log that is open for writing. Close it."""

    def __init__(self, path: str, cap: int) -> None:
        """Open or create `path`, which holds at most `cap` bytes. Raises `AuditError` if it is no log of ours, or cannot be one."""
        self._shown = escape_line(path)
        self._cap = cap
        self._session = secrets.token_hex(8)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        # Nothing is waited for or acted on that is no plain file, and no link is followed.
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            self._fd = os.open(path, flags, 0o600)
        except (OSError, ValueError) as error:
            raise self._refused(getattr(error, "strerror", None) or str(error)) from None
        try:
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                raise self._refused("it is not a file")
            self._size = -1  # of what we know
            self._count, self._last = 0, FIRST
            with self._locked():
                self._catch_up()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Append nothing more."""
        os.close(self._fd)

    def begin(self, number: int, spell: Spell) -> Trail:
        """Begin the records of the run `number`. Raises `AuditError`: it must not begin then."""
        return Trail(self, f"{self._session}-{number}", spell)

    def append(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Write one record, whole or not at all. Raises `AuditError`."""
        with self._locked():
            self._catch_up()
            line = _line(self._count + 1, kind, fields, self._last)
            if len(line) > MAX_LINE:
                raise self._refused(f"a record of {len(line)} bytes is too large")
            if self._size + len(line) > self._cap:
                raise self._refused(f"it is full: {format_size(self._cap)} (max_size)")
            self._write(line)
            self._size += len(line)
            self._count += 1
            self._last = _hash_in(line)

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from None
        if written != len(line):  # the disk was full in the middle: half a record is none
            os.ftruncate(self._fd, self._size)
            raise self._refused("no space left on device")

    def _catch_up(self) -> None:
        """Learn the last record, if others have written since. Raises `AuditError`."""
        size = os.fstat(self._fd).st_size
        if size == self._size:
            return
        self._count, self._last = 0, FIRST  # unless there is a last line
        if size:
            tail = os.pread(self._fd, MAX_LINE, max(0, size - MAX_LINE))
            try:
                self._count, self._last = _check(tail[tail.rfind(b"\n", 0, -1) + 1 :])
            except AuditError as error:
                raise self._refused(f"its last line is no record: {error.message}") from None
        self._size = size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(LOCK_PAUSE)
            except OSError as error:
                raise self._refused(error.strerror or str(error)) from None
        else:
            raise self._refused("another process keeps it locked")
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _refused(self, reason: str) -> AuditError:
        return AuditError(
            f"audit log {self._shown} cannot be written: {reason}",
            "mend it, or name a new file with --audit or [audit] path",
        )


class Verified(Struct, frozen=True):
    """A log that is whole. `last` is the hash to keep elsewhere: later logs must hold it."""

    records: int
    runs: int
    open_runs: int
    """Runs that have begun and not ended: under way, or of a supervisor that was killed."""
    last: str


class Broken(AuditError):
    """The first line of a log that is not as it was written. `line` counts from 1."""

    def __init__(self, shown: str, line: int, reason: str) -> None:
        super().__init__(f"{shown}:{line}: {reason}", "the lines before it are whole")
        self.line = line


def verify(path: str, *, holds: str | None = None) -> Verified:
    """Check every line of a log. `holds` is a hash that it must have had at some time.

    Raises `Broken`, or `AuditError` for a file that cannot be read, or without that hash.
    """
    shown = escape_line(path)
    try:
        with open(path, "rb", opener=_open_plain) as file:
            return _verify(file, shown, holds)
    except OSError as error:
        raise AuditError(f"{shown} cannot be read: {error.strerror}") from None


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def _verify(file: BinaryIO, shown: str, holds: str | None) -> Verified:
    number, last, runs = 0, FIRST, 0
    begun: set[str] = set()
    found = holds is None
    while line := file.readline(MAX_LINE + 1):
        number += 1
        try:
            count, this = _check(line, number, last)
        except AuditError as error:
            raise Broken(shown, number, error.message) from None
        record = msgspec.json.decode(line, type=_Kind)
        if record.type == "begin":
            runs += 1
            begun.add(record.run)
        elif record.type == "end":
            begun.discard(record.run)
        last, found = this, found or this == holds
        assert count == number
    if not found:
        raise AuditError(
            f"{shown}: no record has the hash {holds}", "lines were cut off, or all is new"
        )
    return Verified(number, runs, len(begun), last)


def _text(text: str) -> str:
    """A text within its bound that can be encoded, whatever it was."""
    return truncate(text, MAX_NOTE).encode("utf-8", "replace").decode()


def _detail(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What bridges have noted, within bounds: each text of a list counts as a fact."""
    found: dict[str, Any] = {}
    room = MAX_NOTES
    for name, value in facts.items():
        if room <= 0:
            break
        many = isinstance(value, list)
        found[_text(name)] = [_plain(each) for each in value[:room]] if many else _plain(value)
        room -= len(value) if many else 1
    return found


def _plain(value: object) -> str | int | float | None:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return max(-(1 << 63), min(value, (1 << 63) - 1))
    return _text(str(value))


class _Kind(Struct):
    type: str
    run: str


class _Chained(Struct):
    n: int
    prev: str
    hash: str


def _line(number: int, kind: str, fields: Mapping[str, Any], last: str) -> bytes:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
    record = {"n": number, "time": stamp, "type": kind, **fields, "prev": last}
    text = escape_json(msgspec.json.encode(record).decode()).encode()[:-1]
    return text + _MARK + hashlib.sha256(text).hexdigest().encode() + b'"}\n'


def _hash_in(line: bytes) -> str:
    return line[-_TAIL - 1 :][len(_MARK) : -3].decode()


def _check(line: bytes, number: int | None = None, last: str | None = None) -> tuple[int, str]:
    """The number and hash of one line. Raises `AuditError` with the reason alone."""
    if not line.endswith(b"\n"):
        raise AuditError("it has no end" if len(line) <= MAX_LINE else "it is longer than a record")
    try:
        record = msgspec.json.decode(line, type=_Chained)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise AuditError("it is not a record") from None
    body = line[: -_TAIL - 1]
    if line[len(body) :][: len(_MARK)] != _MARK or hashlib.sha256(body).hexdigest() != record.hash:
        raise AuditError("it has been changed: its hash is another")
    if last is not None and record.prev != last:
        raise AuditError("it does not follow the line before it: one was removed or put in here")
    if number is not None and record.n != number:
        raise AuditError(f"it is record {record.n}, where record {number} is due")
    return record.n, record.hash
