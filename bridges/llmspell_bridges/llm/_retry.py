"""The one layer that repeats calls: litellm and the clients under it are told not to."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import tenacity
from tenacity.wait import wait_base

from .._errors import BridgeError

if TYPE_CHECKING:
    from ._types import Retries

T = TypeVar("T")

_AGAIN: Final = frozenset({"RateLimit", "Network", "Timeout", "Provider"})
"""Kinds that another attempt may cure; the error itself must say `retryable` as well."""

_JITTER: Final = 0.25
"""Share of a wait by which it is lengthened at random, so that calls that failed together do not
come back together."""


async def repeat(
    attempt: Callable[[int], Awaitable[T]],
    retries: Retries,
    attempts: int,
    time_left: float,
    again: Callable[[BaseException], bool] | None = None,
) -> T:
    """Await `attempt(1)`, `attempt(2)`, ... until one succeeds, and raise what the last one raised.

    Between two it waits as `retries` say, or as long as the provider asked for (`retry_after`); an
    attempt that could only begin when `time_left` seconds are over is not made. `again` decides
    which errors another attempt may cure, in place of the rule for models.
    """
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(again or _may_repeat),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(time_left),
        wait=_Wait(retries),
        reraise=True,
    )
    numbers = itertools.count(1)

    async def once() -> T:
        return await attempt(next(numbers))

    return await retrying(once)


def _may_repeat(error: BaseException) -> bool:
    return isinstance(error, BridgeError) and error.retryable and error.kind in _AGAIN


class _Wait(wait_base):
    def __init__(self, retries: Retries) -> None:
        base, top = retries.base_delay, retries.max_delay
        if retries.backoff == "exponential":
            self._curve: wait_base = tenacity.wait_exponential(multiplier=base, max=top)
        elif retries.backoff == "linear":
            self._curve = tenacity.wait_incrementing(start=base, increment=base, max=top)
        else:
            self._curve = tenacity.wait_fixed(min(base, top))
        self._jitter = tenacity.wait_random(1, 1 + _JITTER)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        wait = self._curve(retry_state) * self._jitter(retry_state)
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.retry_after if isinstance(error, BridgeError) else None
        return max(wait, asked or 0.0)
