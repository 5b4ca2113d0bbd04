"""What one bridge call came to: for the audit log, and for whoever learns what a run needed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from msgspec import Raw

    from ._budget import CallBudget


class CallRecord(Struct, frozen=True, kw_only=True):
    """One call, once it is over. Sizes are bytes of msgpack, `duration` seconds."""

    call: int
    """Counts from 1 within its run."""
    nested: str = ""
    """Which of the calls that the host made within that one: `2`, or `2.1` within the second. Empty
    for the script's own call, whose `tokens` and `cost` are those of all of them."""
    method: str
    args_sha256: str
    args_size: int
    outcome: str
    """`ok`, `planned` by a dry run that did not make it, the kind of an error, the verdict that the
    call led to, `cancelled`, or `abandoned`: cancelled, and not over when its run was."""
    size: int
    """Of the answer; of all chunks and the closing value of a stream."""
    duration: float
    tokens: int
    cost: float
    """US dollars."""
    detail: Mapping[str, Any]
    """What the bridge has noted (`CallContext.note`)."""


Observer = Callable[[CallRecord], None]
"""Told of each call before its answer is sent. Raises `AuditError` to end the run."""


def record_of(
    number: str,
    method: str,
    args: bytes | Raw,
    *,
    budget: CallBudget,
    outcome: str,
    began: float,
    size: int,
    detail: Mapping[str, Any],
) -> CallRecord:
    """The record of the call `number` that began at `began`, on `time.monotonic()`, and is over now."""
    call, _, nested = number.partition(".")
    return CallRecord(
        call=int(call),
        nested=nested,
        method=method,
        args_sha256=hashlib.sha256(args).hexdigest(),
        args_size=len(args),
        outcome=outcome,
        size=size,
        duration=round(time.monotonic() - began, 6),
        tokens=budget.tokens,
        cost=budget.cost,
        detail=detail,
    )
