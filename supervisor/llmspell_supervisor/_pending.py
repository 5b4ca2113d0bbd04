"""One run at the front of several shards: what a shard says of it, until it has a report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from . import _ending
from ._errors import AuditError, SupervisorError
from ._report import LogEntry, Problem, RunReport
from ._shard_messages import Ended, report_of

if TYPE_CHECKING:
    from ._ending import Ending
    from ._job import Job


class ShardDied(SupervisorError):
    """The shard has gone before a worker of its had been sent the script."""


class Pending:
    """One run, from its job to its report."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.logs: list[LogEntry] = []
        self.started = False
        """A worker is, or may have been, sent the script."""
        self.unwanted = asyncio.Event()
        """It was cancelled."""
        self._stop: Callable[[bool], None] | None = None
        self._failure: Exception | None = None
        self._refused: AuditError | None = None
        self.outcome: asyncio.Future[RunReport]

    def begin(self, stop: Callable[[bool], None]) -> None:
        """A shard has it, and is told to end it by `stop`, whose argument is to abandon it."""
        self.outcome = asyncio.get_running_loop().create_future()
        self._stop = stop

    @property
    def cancelled(self) -> bool:
        """Whether it is to end with the verdict `cancelled`."""
        return self.unwanted.is_set()

    def cancel(self) -> None:
        """End it with the verdict `cancelled`."""
        self.unwanted.set()
        if self._stop is not None:
            self._stop(False)  # noqa: FBT003

    def abandon(self) -> None:
        """End it: nobody waits for its report."""
        if self._stop is not None:
            self._stop(True)  # noqa: FBT003

    # --- what a shard says of it ----------------------------------------------------------------

    def said(self, entry: LogEntry) -> None:
        """One console entry."""
        if self._failure is None:
            self.logs.append(entry)
            self._tell(self.job.on_log, entry)

    def active(self, word: str) -> None:
        """What it is doing."""
        if self._failure is None:
            self._tell(self.job.on_activity, word)

    def called(self, record: Any) -> bool:
        """One call is over. False when that ends the run."""
        try:
            for observe in self.job.observers:
                observe(record)
        except AuditError as error:
            self._refused = self._refused or error
            self.abandon()
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self._fail(error)
        return self._failure is None and self._refused is None

    def ended(self, end: Ended) -> None:
        """It has a report."""
        self._over(report_of(end, self.job, self.logs))

    def abandoned(self) -> None:
        """It is over, since we said so."""
        self._over(self.report(_ending.cancelled()))

    def failed(self, error: Exception) -> None:
        """It has an error instead."""
        if not self.outcome.done():
            self.outcome.set_exception(self._failure or error)
            self.outcome.exception()  # marked as seen: a cancelled task does not look

    def died(self, epitaph: str) -> None:
        """The shard has died, and every worker of its with it."""
        if not self.started:
            self.failed(ShardDied(epitaph, "try again"))
            return
        message = f"{epitaph}, and with it the worker of this run"
        self._over(self.report(_ending.supervisor_error(message, "run it again")))

    def report(self, ending: Ending) -> RunReport:
        """A report of our own."""
        end = Ended(self.job.number, ending.verdict, problem=ending.problem)
        return report_of(end, self.job, self.logs)

    def _over(self, report: RunReport) -> None:
        if self._failure is not None:
            self.failed(self._failure)
        elif not self.outcome.done():
            if (error := self._refused) is not None:
                problem = Problem(message=error.message, hint=error.hint)
                report = msgspec.structs.replace(
                    report, verdict="supervisor_error", value=None, problem=problem
                )
            self.outcome.set_result(report)

    def _tell(self, callback: Callable[[Any], None] | None, what: Any) -> None:
        if callback is not None:
            try:
                callback(what)
            except Exception as error:  # noqa: BLE001 - raised by `run`
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.abandon()
