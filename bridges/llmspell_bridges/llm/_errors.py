"""From what litellm, openai and httpx raise to the seven kinds. First match wins.

Classes are told by name, so that nothing is imported to handle an error. The whole chain of causes
counts: a refused connection, for one, arrives as `InternalServerError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .._errors import BridgeError
from .._secret import redact

if TYPE_CHECKING:
    from ._routing import Route

_CHAIN: Final = 20
"""Causes that are looked at; chains are about five long, and this one cannot be endless."""

_TIMEOUT: Final = frozenset({"Timeout", "APITimeoutError", "TimeoutException", "TimeoutError"})
_REFUSED: Final = frozenset({"AuthenticationError", "PermissionDeniedError", "NotFoundError"})
_UNUSABLE: Final = frozenset(
    {
        "JSONDecodeError",
        "APIResponseValidationError",
        "JSONSchemaValidationError",
        "DecodingError",
        "AnswerTooLarge",
    }
)
_NETWORK: Final = frozenset(
    {"APIConnectionError", "TransportError", "ConnectionError", "ClientPayloadError"}
)
_INVALID: Final = frozenset({"BadRequestError", "UnprocessableEntityError"})
_LOST: Final = {
    "ConnectionRefusedError": "the connection was refused",
    "gaierror": "its host name is not known",
    "SSLError": "its certificate was not accepted",
    "ClientPayloadError": "the connection was lost in the middle of the answer",
    "ReadError": "the connection was lost",
    "RemoteProtocolError": "the connection was lost",
}

_PREFIX: Final = re.compile(r"^(?:litellm\.)?\w+(?:: | - )(?=\S)")
_MESSAGE: Final = re.compile(r'"message"\s*:\s*("(?:[^"\\]|\\.)*")')
_ADVICE: Final = re.compile(r"\s*To drop [^.]*`?litellm\.drop_params.*$", re.DOTALL)
"""What litellm tells people who program it, at the end of some messages."""
_NO_MORE_MONEY: Final = "insufficient_quota"  # sent with status 429, but waiting does not help


def explain(error: BaseException, route: Route, timeout: float) -> BridgeError:
    """The error as a script sees it. `timeout` is what the attempt was given, in seconds."""
    chain = list(_chain(error))
    names = {c.__name__ for e in chain for c in type(e).__mro__}
    status = _status(chain)
    who, said = route.name, _said(chain, route)
    if status == 429 or "RateLimitError" in names:
        again = _code(chain) != _NO_MORE_MONEY
        wait = _retry_after(chain)
        return BridgeError("RateLimit", f"{who}: {said}", retryable=again, retry_after=wait)
    if names & _TIMEOUT:
        message = f"{who}: no answer within {timeout:g} s"
        return BridgeError("Timeout", message, retryable=True, duration=timeout)
    if status in (401, 403, 404) or names & _REFUSED or _is_missing_key(chain):
        return BridgeError("Configuration", f"{who}: {said}")
    if names & _UNUSABLE:
        return _unusable(who, too_large="AnswerTooLarge" in names)
    if names & _NETWORK:
        why = next((text for name, text in _LOST.items() if name in names), "no connection")
        at = f" at {route.api_base}" if route.api_base else ""
        return BridgeError("Network", f"cannot reach {who}{at}: {why}", retryable=True)
    if status in (400, 422) or names & _INVALID:
        field = _param(chain, route) or (
            "messages" if "ContextWindowExceededError" in names else None
        )
        return BridgeError("Validation", f"{who}: {said}", field=field)
    if "HTTPStatusError" not in names and "MidStreamFallbackError" not in names:
        return _unusable(who)  # no refusal over HTTP: the answer itself was not usable
    again = status is None or status >= 500
    wait = _retry_after(chain)
    return BridgeError("Provider", f"{who}: {said}", retryable=again, retry_after=wait)


def _unusable(who: str, *, too_large: bool = False) -> BridgeError:
    if too_large:
        return BridgeError("Limit", f"{who}: the answer is larger than max_response allows")
    message = f"{who}: what came back is not an answer of a model; is its base_url right?"
    return BridgeError("Serialization", message)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _status(chain: list[BaseException]) -> int | None:
    """The HTTP status that the provider sent; litellm's own guess, where it sent none."""
    answered = [e.response for e in chain if type(e).__name__ == "HTTPStatusError"]  # type: ignore[attr-defined]
    if answered:
        return int(answered[0].status_code)
    guess = getattr(chain[0], "status_code", None)
    return guess if isinstance(guess, int) else None


def _is_missing_key(chain: list[BaseException]) -> bool:
    # openai raises its base class itself for one reason: it was given no credentials.
    return any(type(e).__name__ == "OpenAIError" and type(e).__module__ == "openai" for e in chain)


def _retry_after(chain: list[BaseException]) -> float | None:
    for error in chain:
        headers = getattr(error, "litellm_response_headers", None) or {}
        try:
            seconds = float(headers.get("retry-after", ""))
        except ValueError:
            continue  # a date, or nothing: our own backoff is as good
        return seconds if 0 <= seconds < float("inf") else None
    return None


def _bodies(chain: list[BaseException]) -> Iterator[dict[str, Any]]:
    for error in chain:
        body = getattr(error, "body", None)
        if isinstance(body, dict):
            inner = body.get("error")
            yield inner if isinstance(inner, dict) else body


def _code(chain: list[BaseException]) -> Any:
    return next((b["code"] for b in _bodies(chain) if b.get("code")), None)


def _param(chain: list[BaseException], route: Route) -> str | None:
    found = next((b["param"] for b in _bodies(chain) if b.get("param")), None)
    return redact(found, route.hidden) if isinstance(found, str) else None


def _said(chain: list[BaseException], route: Route) -> str:
    """The provider's own sentence, without the wrappings and without keys."""
    text = next((b["message"] for b in _bodies(chain) if isinstance(b.get("message"), str)), None)
    if text is None:
        text = str(getattr(chain[0], "message", chain[0]))
        if found := _MESSAGE.search(text):
            text = str(json.loads(found[1], strict=False))
        while stripped := _PREFIX.match(text):
            text = text[stripped.end() :]
    return redact(_ADVICE.sub("", text), route.hidden)
