"""From what the library raises to the kinds of error that scripts know. Imports the library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import httpx2
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, PARSE_ERROR
from pydantic import ValidationError

from .._errors import BridgeError

_SESSION_OVER: Final = "Session terminated"
"""What the library makes of the status 404 within a session."""


def explain(error: BaseException, what: str) -> BridgeError:
    """The error for the script that asked for `what`.

    One that is `retryable` tells that the connection is of no more use.
    """
    causes = list(_causes(error))
    for found in causes:
        if isinstance(found, BridgeError):
            return found
    for found in causes:
        if isinstance(found, httpx2.TransportError):
            message = f"{what}: cannot be reached ({type(found).__name__})"
            return BridgeError("Network", message, retryable=True)
        if isinstance(found, httpx2.HTTPError):
            return BridgeError("Provider", f"{what}: {type(found).__name__}", retryable=True)
        if isinstance(found, MCPError):
            return _protocol_error(found, what)
        if isinstance(found, ValidationError | RuntimeError):
            return BridgeError("Provider", f"{what}: the server's answer breaks the protocol")
    name = type(error).__name__
    return BridgeError("Provider", f"{what}: the conversation with the server failed ({name})")


def _protocol_error(error: MCPError, what: str) -> BridgeError:
    said = error.error.message
    if error.code == CONNECTION_CLOSED or said == _SESSION_OVER:
        message = f"{what}: the server has closed the connection"
        return BridgeError("Provider", message, retryable=True)
    if error.code == PARSE_ERROR:
        return BridgeError("Provider", f"{what}: the server's answer breaks the protocol")
    message = f"{what}: {said}"
    is_bad = error.code == INVALID_PARAMS
    return BridgeError("Validation", message) if is_bad else BridgeError("Provider", message)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that are grouped in it."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
