"""The policy of one run: what a spell may use, how much of it, and what holds it.

Flags, config profiles and manifests are the same schema, `Policy`, with every field optional.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


class Policy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A resolved policy. Sizes are bytes, times seconds, money US dollars.

    An empty tuple grants nothing. The defaults are what a spell gets when nobody says anything.
    """

    # --- limits: layers combine by the smaller number ---
    memory: Annotated[
        int, Meta(ge=32 * MIB, le=64 * GIB, description="memory that the worker may hold")
    ] = 256 * MIB
    cpu: Annotated[float, Meta(gt=0, le=86_400, description="processor time")] = 10.0
    timeout: Annotated[
        float, Meta(gt=0, le=86_400, description="wall time of the run, waiting included")
    ] = 120.0
    max_output: Annotated[
        int, Meta(ge=0, le=GIB, description="console text and returned value together")
    ] = MIB
    max_calls: Annotated[int, Meta(ge=0, le=1_000_000, description="calls of bridge methods")] = 200
    max_request: Annotated[
        int, Meta(ge=0, le=64 * MIB, description="arguments of one call")
    ] = MIB  # S159
    max_response: Annotated[
        int, Meta(ge=0, le=256 * MIB, description="answer of one call, or one stream in all")
    ] = 10 * MIB  # S160
    request_timeout: Annotated[
        float, Meta(gt=0, le=86_400, description="time of one call")
    ] = 30.0  # S161
    max_concurrent: Annotated[
        int, Meta(ge=1, le=64, description="calls open at once")
    ] = 10  # S162
    max_tokens: Annotated[
        int, Meta(ge=0, le=1_000_000_000, description="tokens of all model calls together")
    ] = 200_000
    max_cost: Annotated[
        float, Meta(ge=0, le=10_000, description="money that model calls may cost")
    ] = 1.0

    # --- grants: layers combine by what all of them name ---
    allow_env: Annotated[
        tuple[str, ...], Meta(description="environment variables that the spell may read")
    ] = ()
    allow_domain: Annotated[
        tuple[str, ...], Meta(description="hosts that a bridge may reach for the spell")
    ] = ()
    allow_read: Annotated[
        tuple[str, ...], Meta(description="directories that the spell may read")
    ] = ()
    allow_write: Annotated[
        tuple[str, ...], Meta(description="directories that the spell may write")
    ] = ()
    allow_bridges: Annotated[
        tuple[str, ...], Meta(description="bridges that the spell may call")
    ] = ("llm",)
    allow_models: Annotated[
        tuple[str, ...], Meta(description="models that the spell may use; '*' is any")
    ] = ("*",)
    require_tls: Annotated[
        bool, Meta(description="refuse plain HTTP to anything but loopback models")
    ] = True  # S164
    jit: Annotated[
        bool, Meta(description="let the JavaScript engine compile to machine code")
    ] = False

    # --- containment ---
    isolation: Annotated[
        Literal["strict", "degraded"],
        Meta(description="strict refuses to run when a layer is missing; degraded runs without"),
    ] = "strict"


FIELDS: Final = {f.name: f for f in msgspec.structs.fields(Policy)}
