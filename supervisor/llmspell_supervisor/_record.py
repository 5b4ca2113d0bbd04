"""What one bridge call came to: for the audit log, and for whoever learns what a run needed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from llmspell_protocol import Call

    from ._budget import CallBudget


class CallRecord(Struct, frozen=True, kw_only=True):
    """One call, once it is over. Sizes are bytes of msgpack, `duration` seconds."""

    call: int
    """Counts from 1 within its run."""
    method: str
    args_sha256: str
    args_size: int
    outcome: str
    """`ok`, `planned` by a dry run that did not make it, the kind of an error, the verdict that the call led to, `cancelled`, or `abandoned`:
    cancelled, and not over when its run was."""
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
    call: Call,
    budget: CallBudget,
    outcome: str,
    began: float,
    size: int,
    detail: Mapping[str, Any],
) -> CallRecord:
    """The record of a call that began at `began`, on `time.monotonic()`, and is over now."""
    return CallRecord(
        call=call.id,
        method=call.method,
        args_sha256=hashlib.sha256(call.args).hexdigest(),
        args_size=len(call.args),
        outcome=outcome,
        size=size,
        duration=round(time.monotonic() - began, 6),
        tokens=budget.tokens,
        cost=budget.cost,
        detail=detail,
    )
