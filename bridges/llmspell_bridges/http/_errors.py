"""From what httpx raises to what a script reads. Never with its texts, which may hold headers."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import httpx

from .._errors import BridgeError

if TYPE_CHECKING:
    from ._url import Target

_CHAIN: Final = 10
"""Causes that are looked at; chains are four long."""


@contextlib.contextmanager
def explained(target: Target, timeout: float) -> Iterator[None]:
    """Turn an error of httpx into a `BridgeError` about `target`. `timeout` is in seconds."""
    try:
        yield
    except httpx.TimeoutException:
        message = f"{target.authority}: no answer within {timeout:g} s"
        raise BridgeError("Timeout", message, retryable=True, duration=timeout) from None
    except httpx.RemoteProtocolError:
        message = f"{target.authority}: what came back is not HTTP, ends too early or is too large"
        raise BridgeError("Provider", message, retryable=True) from None
    except httpx.TransportError as error:
        raise BridgeError(
            "Network", f"cannot reach {target.authority}: {_why(error)}", retryable=True
        ) from None


def _why(error: httpx.TransportError) -> str:
    cause: BaseException | None = error
    for _ in range(_CHAIN):
        if cause is None:
            break
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate was not accepted; ca_file under [http] adds others"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS as it should"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    return "no connection" if isinstance(error, httpx.ConnectError) else "the connection was lost"
