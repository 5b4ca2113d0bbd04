"""What scripts send to `http` and get back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from .._content import Content

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Scalar = str | int | float | bool
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""CONNECT and TRACE are for proxies."""
MAX_REDIRECTS = 5
"""As the attack catalogue (B04) has it; browsers follow twenty, services need one or two."""


class _Common(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every request may say."""

    headers: Annotated[dict[str, str], Meta(description="headers by name")] = {}
    query: Annotated[
        dict[str, Scalar | list[Scalar]], Meta(description="added to the address, encoded")
    ] = {}
    auth: Annotated[str | None, Meta(description="name of a secret that the operator set")] = None
    redirects: Annotated[
        int, Meta(ge=0, le=MAX_REDIRECTS, description="redirects that are followed")
    ] = MAX_REDIRECTS
    timeout: Annotated[Seconds | None, Meta(description="seconds; of a stream, of one wait")] = None
    body: Annotated[Content, Meta(description="text or bytes to send")] = None
    json: Annotated[Any | UnsetType, Meta(description="any value to send as JSON")] = UNSET
    form: Annotated[dict[str, Scalar] | None, Meta(description="fields to send as a form does")] = (
        None
    )


class RequestOptions(_Common, frozen=True, kw_only=True):
    """How a request is made, and its answer read."""

    expect: Annotated[
        Literal["text", "bytes", "json"], Meta(description="what the body is wanted as")
    ] = "text"


class StreamOptions(_Common, frozen=True, kw_only=True):
    """How a request is made whose answer comes piece by piece."""

    method: Annotated[Method, Meta(description="GET, POST, ...")] = "GET"
    expect: Annotated[
        Literal["text", "bytes"], Meta(description="what the pieces are wanted as")
    ] = "text"


class Head(Struct, frozen=True, kw_only=True):
    """An answer without its body."""

    status: int
    ok: bool
    """Whether the status is one of success (200 to 299)."""
    url: str
    """Where it came from in the end."""
    headers: dict[str, str]
    """By name in lower case; repeated ones are joined with a comma."""


class HttpResponse(Head, frozen=True, kw_only=True):
    """An answer. A status of failure is an answer, too, and no error."""

    body: Any
    """Text, bytes, or the value of JSON, as the request expected it."""
