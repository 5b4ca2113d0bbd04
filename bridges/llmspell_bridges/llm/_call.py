"""One call of a model: where it goes, what it may use, and how its attempts are made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from .._errors import BridgeError
from ._budget import Booking, Bound, book
from ._errors import explain
from ._retry import repeat

if TYPE_CHECKING:
    from .._context import CallContext
    from ._routing import Route
    from ._types import CompletionRequest, EmbedRequest

T = TypeVar("T")


class ModelCall(Struct, frozen=True, kw_only=True):
    """A request that has been checked and has a place to go."""

    ctx: CallContext
    litellm: Any
    route: Route
    arguments: dict[str, Any]
    """For litellm, the route's included."""
    request: CompletionRequest | EmbedRequest
    bound: Bound
    timeout: float
    """Seconds of one attempt; of one wait for the next chunk, when it is a stream."""

    def __repr__(self) -> str:
        return f"ModelCall({self.route.name!r})"  # the arguments hold the key

    @property
    def as_data(self) -> bool:
        """Whether the answer is to be read as JSON."""
        return getattr(self.request, "schema", None) is not None

    def book(self) -> Booking:
        """Reserve for one attempt. Raises `BudgetExceeded`."""
        return book(self.ctx, self.bound)

    async def within(self, work: Awaitable[T]) -> T:
        """Await a part of an attempt. Raises `BridgeError` for whatever the libraries raise."""
        from ._web import ENVELOPE, STREAM_OVERHEAD, room

        most = self.ctx.policy.max_response
        room.set(ENVELOPE + most * (STREAM_OVERHEAD if self.arguments.get("stream") else 1))
        try:
            async with asyncio.timeout(self.timeout):
                return await work
        except BridgeError:
            raise
        except Exception as error:
            raise explain(error, self.route, self.timeout) from error

    async def attempts(self, attempt: Callable[[int], Awaitable[T]]) -> T:
        """Make attempts, numbered from 1, until one succeeds or the time is up."""
        retries = self.request.retries
        most = retries.attempts or self.route.max_retries + 1
        return await repeat(attempt, retries, most, self.ctx.call_timeout())
