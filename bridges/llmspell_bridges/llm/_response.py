"""From litellm's objects to what scripts get."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from .._errors import BridgeError
from .._secret import masked
from ._types import (
    AnswerMessage,
    CompletionDelta,
    CompletionResponse,
    EmbedResponse,
    ResponseMetadata,
    TokenUsage,
    ToolCall,
    ToolCallDelta,
)

if TYPE_CHECKING:
    from ._routing import Route


class Attempt(msgspec.Struct, frozen=True):
    """Which attempt this is, and when it began (`time.monotonic()`)."""

    number: int
    began: float

    def metadata(self, raw: Any = None) -> ResponseMetadata:
        """What scripts are told about the call, now that it has ended."""
        identity, created = getattr(raw, "id", None), getattr(raw, "created", None)
        return ResponseMetadata(
            id=identity if isinstance(identity, str) else UNSET,
            created=created if isinstance(created, int) else UNSET,
            latency_ms=round((time.monotonic() - self.began) * 1000),
            attempts=self.number,
        )


def completion(
    raw: Any, route: Route, litellm: Any, attempt: Attempt, *, as_data: bool
) -> CompletionResponse:
    """A finished completion. Raises `BridgeError` of kind `Serialization` if it is none."""
    choices = getattr(raw, "choices", None)
    if not choices:
        raise _no_answer(route)
    message = choices[0].message
    content = message.content if isinstance(message.content, str) else ""
    calls = _tool_calls(message.tool_calls)
    found = CompletionResponse(
        content=content,
        message=AnswerMessage(content=content, tool_calls=calls),
        tool_calls=calls,
        data=_data(content, route) if as_data else UNSET,
        usage=usage(raw),
        cost=_cost(raw, route, litellm),
        model=raw.model or route.model,
        provider=route.provider,
        finish_reason=choices[0].finish_reason or "stop",
        metadata=attempt.metadata(raw),
    )
    return masked(found, route.hidden)


def embeddings(raw: Any, route: Route, litellm: Any, attempt: Attempt) -> EmbedResponse:
    """Finished embeddings, in the order of the inputs."""
    try:
        found = sorted(raw.data or [], key=lambda item: item["index"])
        vectors = [[float(number) for number in item["embedding"]] for item in found]
    except (KeyError, TypeError, ValueError):
        vectors = []
    if not vectors:
        raise _no_answer(route)
    answer = EmbedResponse(
        embeddings=vectors,
        usage=usage(raw),
        cost=_cost(raw, route, litellm),
        model=raw.model or route.model,
        provider=route.provider,
        metadata=attempt.metadata(raw),
    )
    return masked(answer, route.hidden)


def delta(raw: Any) -> CompletionDelta | None:
    """What a chunk adds; None for a chunk that adds nothing."""
    if not raw.choices:
        return None
    choice = raw.choices[0]
    pieces = [_piece(p) for p in choice.delta.tool_calls or []]
    out = CompletionDelta(
        content=choice.delta.content or UNSET,
        tool_calls=pieces or UNSET,
        finish_reason=choice.finish_reason or UNSET,
    )
    return None if out == CompletionDelta() else out


def counted(raw: Any) -> bool:
    """Whether the provider has said what was used."""
    return getattr(raw, "usage", None) is not None


def usage(raw: Any) -> TokenUsage:
    """Tokens as the provider or, where it says nothing, litellm counted them."""
    found = getattr(raw, "usage", None)
    prompt = getattr(found, "prompt_tokens", 0) or 0
    written = getattr(found, "completion_tokens", 0) or 0
    return TokenUsage(
        prompt_tokens=prompt, completion_tokens=written, total_tokens=prompt + written
    )


def _piece(raw: Any) -> ToolCallDelta:
    return ToolCallDelta(
        index=raw.index,
        id=raw.id or UNSET,
        name=raw.function.name or UNSET,
        arguments=raw.function.arguments or UNSET,
    )


def _tool_calls(raw: Any) -> list[ToolCall] | UnsetType:
    if not raw:
        return UNSET
    return [
        ToolCall(id=c.id or "", name=c.function.name or "", arguments=_arguments(c)) for c in raw
    ]


def _arguments(call: Any) -> Any:
    text = call.function.arguments or "{}"
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text  # models do write broken JSON; the script can say so to the model


def _data(content: str, route: Route) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        message = f"{route.name}: the answer is not the JSON that schema asks for: {error}"
        raise BridgeError("Serialization", message, retryable=True) from None


def _cost(raw: Any, route: Route, litellm: Any) -> float | None:
    if route.own:
        return None
    try:
        return float(litellm.completion_cost(raw, model=route.model))
    except Exception:  # noqa: BLE001 - litellm raises several classes for "not listed"
        return None


def _no_answer(route: Route) -> BridgeError:
    message = f"{route.name}: the answer holds nothing; is its base_url right?"
    return BridgeError("Serialization", message)
