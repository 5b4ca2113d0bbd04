"""Calls that the host makes within a call of the script's: counted and recorded like any other.

An agent lets a model say what is done next, and a workflow its steps: one call of the script's may
so become hundreds that the script would have had to make by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import replace

from llmspell_bridges import BridgeError, BudgetExceeded, CallContext

from ._budget import CallBudget

if TYPE_CHECKING:
    from ._budget import RunBudget
    from ._record import CallRecord

T = TypeVar("T")


class NestedCalls:
    """Implements `llmspell_bridges.Calls` for one run."""

    def __init__(self, budget: RunBudget, tell: Callable[[CallRecord], bool] | None) -> None:
        """`tell` is handed the record of each call; False when that ended the run."""
        self._budget = budget
        self._tell = tell
        self.heard: Callable[[], Awaitable[None]] | None = None
        """Waits until what was told has been heard in another process."""
        self._made: dict[str, int] = {}
        self._stopped = False

    def stop(self) -> None:
        """The run is over: nothing begins any more."""
        self._stopped = True

    def close(self) -> None:
        """Record nothing more: the run has its end in the log. Its call is told as abandoned."""
        self._tell = None

    async def nested(
        self,
        ctx: CallContext,
        method: str,
        arguments: tuple[Any, ...],
        work: Callable[[CallContext], Awaitable[T]],
    ) -> T:
        """See `CallContext.nested`."""
        if self._stopped:
            raise asyncio.CancelledError
        assert isinstance(ctx.budget, CallBudget)
        number = self._made[ctx.number] = self._made.get(ctx.number, 0) + 1
        inner = replace(ctx, number=f"{ctx.number}.{number}", budget=ctx.budget.inner(), detail={})
        began = time.monotonic()
        if not self._budget.count_call(method):
            self._record(inner, method, arguments, "call_limit", began)
            raise BudgetExceeded("calls", asked=1, left=0)
        outcome, answer = "supervisor_error", None
        try:
            answer = await work(inner)
            outcome = "ok"
        except BridgeError as error:
            outcome = error.kind
            raise
        except BudgetExceeded as error:
            outcome = "call_limit" if error.what == "calls" else "cost_limit"
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            heard = self._record(inner, method, arguments, outcome, began, answer)
        if not heard:
            raise asyncio.CancelledError
        if self.heard is not None:
            await self.heard()
        return answer

    def _record(
        self,
        ctx: CallContext,
        method: str,
        arguments: tuple[Any, ...],
        outcome: str,
        began: float,
        answer: Any = None,
    ) -> bool:
        """Tell how a call ended. False when that ended the run: what it gave is not to be used."""
        if self._tell is None:
            return True
        from ._record import record_of

        assert isinstance(ctx.budget, CallBudget)
        size = len(_encoded(answer)) if outcome == "ok" else 0
        return self._tell(
            record_of(
                ctx.number,
                method,
                _encoded(arguments),
                budget=ctx.budget,
                outcome=outcome,
                began=began,
                size=size,
                detail=ctx.detail,
            )
        )


def _encoded(value: Any) -> bytes:
    """As it would have crossed; nothing for what could not, such as a model's number of 99 digits."""
    try:
        return msgspec.msgpack.encode(value, enc_hook=str)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return b""
