"""Tokens and money: a bound reserved before each attempt, the truth booked after it.

One attempt holds one reservation, so calls that run at the same time cannot pass the check together,
and repeated attempts are paid for one by one. Exceeding ends the run.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from msgspec import Struct

from .._errors import BridgeError, BudgetExceeded

if TYPE_CHECKING:
    from .._context import CallContext, Reservation
    from ._routing import Route
    from ._types import Message

BYTES_PER_TOKEN: Final = 2
"""English takes 4 bytes a token, code 3 to 4, Chinese 2 to 3: an estimate from above for all of
them that costs no tokenizer (loading one takes most of a second)."""

TOKENS_PER_MESSAGE: Final = 8
"""What role and separators cost, from above."""

TOKENS_PER_IMAGE: Final = 1600
"""An image of full size, by the formulas that OpenAI and Anthropic publish, from above."""

UNSTATED_MAX: Final = 16_384
"""Tokens of an answer whose call sets no limit, for a model whose own limit is higher."""

UNSTATED_UNKNOWN: Final = 4096
"""The same for a model of unknown size: more than its context would be refused by its server."""

SHARE: Final = 4
"""An answer whose call sets no limit may take this part of what is left (a quarter), so that ten
calls at once all find room. The call gets a limit in any case: without one there is no bound."""

FLOOR: Final = 256
"""Tokens that the share is not cut below while the budget has them: less is no answer."""

_CHARGED: Final = frozenset({"Timeout", "Serialization", "Limit"})
"""Kinds after which the provider may have done the work, and bills for it."""


class Price(Struct, frozen=True):
    """US dollars for one token, and the most tokens that one answer can have."""

    prompt: float = 0.0
    completion: float = 0.0
    max_output: int | None = None

    def of(self, prompt: int, completion: int) -> float:
        """Dollars for so many tokens."""
        return prompt * self.prompt + completion * self.completion


class Bound(Struct, frozen=True):
    """The most that one attempt can use."""

    prompt: int
    completion: int
    price: Price


def price_of(route: Route, litellm: Any) -> Price:
    """What litellm's price list says; nothing for a model that it does not know."""
    if route.own:
        return Price()
    try:
        info = litellm.get_model_info(route.model)
    except Exception:  # noqa: BLE001 - litellm raises several classes for "not listed"
        return Price()
    return Price(
        info.get("input_cost_per_token") or 0.0,
        info.get("output_cost_per_token") or 0.0,
        info.get("max_output_tokens"),
    )


def estimate(messages: list[Message], other: Any = None) -> int:
    """Tokens of a prompt, from above. `other` is what is sent beside it: tools, a schema."""
    total = 0
    for message in messages:
        total += TOKENS_PER_MESSAGE + _tokens(len(msgspec.json.encode(message.tool_calls)))
        if isinstance(message.content, str):
            total += _tokens(len(message.content.encode()))
            continue
        for part in message.content or []:
            text = getattr(part, "text", None)
            total += TOKENS_PER_IMAGE if text is None else _tokens(len(text.encode()))
    return total + (_tokens(len(msgspec.json.encode(other))) if other else 0)


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def bound(ctx: CallContext, prompt: int, asked: int | None, price: Price) -> Bound:
    """The bound of a completion. Where the call sets no limit of its own it gets a fair one."""
    if asked is not None:
        return Bound(prompt, asked, price)
    affordable = ctx.budget.tokens_left - prompt
    if price.completion > 0:
        money = ctx.budget.cost_left - prompt * price.prompt
        affordable = min(affordable, int(money / price.completion))
    usual = UNSTATED_UNKNOWN if price.max_output is None else min(price.max_output, UNSTATED_MAX)
    fair = max(affordable // SHARE, min(affordable, FLOOR))
    # At least one token: what cannot be paid for is then refused by the reservation.
    return Bound(prompt, max(1, min(usual, fair)), price)


class Booking:
    """The reservation of one attempt. Settled once: by `used`, or by `failed` (as `with` does)."""

    def __init__(self, reservation: Reservation, limit: Bound) -> None:
        self._reservation = reservation
        self._limit = limit
        self._settled = False
        self.streamed: int = 0
        """Bytes of text that a stream has brought so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self.failed(error)

    def used(self, prompt: int, completion: int, cost: float | None) -> None:
        """Book what the provider says. Raises `BudgetExceeded`."""
        self._settled = True
        self._reservation.settle(
            prompt_tokens=prompt, completion_tokens=completion, cost=cost or 0.0
        )

    def failed(self, error: BaseException) -> None:
        """Book nothing after a refusal, and the estimate where the work may have been done."""
        if self._settled:
            return
        self._settled = True
        free = isinstance(error, BridgeError) and error.kind not in _CHARGED and not self.streamed
        prompt = 0 if free else self._limit.prompt
        completion = _tokens(self.streamed)
        # Over the budget or not: the error under way says more, and the next call is refused.
        with contextlib.suppress(BudgetExceeded):
            self._reservation.settle(
                prompt_tokens=prompt,
                completion_tokens=completion,
                cost=self._limit.price.of(prompt, completion),
            )


def book(ctx: CallContext, limit: Bound) -> Booking:
    """Reserve for one attempt. Raises `BudgetExceeded`."""
    cost = limit.price.of(limit.prompt, limit.completion)
    return Booking(ctx.budget.reserve(tokens=limit.prompt + limit.completion, cost=cost), limit)
