"""The policy of one run: what a spell may use, how much of it, and what holds it.

Flags, config profiles and manifests are the same schema, `Policy`, with every field optional.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

ENGINE_OVERHEAD: Final = {"lua": 12 * MIB, "javascript": 36 * MIB}
"""Bytes of a worker that are not the script's: what the interpreter and a fresh engine hold of
`RLIMIT_DATA`. VmData of a waiting worker on CPython 3.11 to 3.13 is 8.6 to 11.0 MiB and 34.0 to
35.5 MiB. The engine's heap is limited to the rest, so that its own error, which a script may catch,
comes before the kernel's."""
MIN_MEMORY: Final = 48 * MIB
"""The least in which both engines start and run a small spell: JavaScript has 12 MiB left then."""

MAX_AUDIT: Final = GIB
"""Bytes of an audit log unless the operator says otherwise: two million calls, and still checked in
seconds. Then it is time for a new file."""

# What a field is measured in, or what a grant names: flags, files and checks are derived from it.
_BYTES: Final = {"unit": "bytes"}
_SECONDS: Final = {"unit": "seconds"}
_DOLLARS: Final = {"unit": "dollars"}
_COUNT: Final = {"unit": "count"}
_NAME: Final = {"names": "name"}
_DOMAIN: Final = {"names": "domain"}
_DIRECTORY: Final = {"names": "directory"}


class Policy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A resolved policy. Sizes are bytes, times seconds, money US dollars.

    An empty tuple grants nothing. The defaults are what a spell gets when nobody says anything.
    Raises `ValueError` that names a field which is out of its bounds or of the wrong type.
    """

    # --- limits: layers combine by the smaller number ---
    memory: Annotated[
        int,
        Meta(
            ge=MIN_MEMORY,
            le=64 * GIB,
            description="memory that the worker may hold",
            extra=_BYTES,
        ),
    ] = 256 * MIB
    cpu: Annotated[float, Meta(gt=0, le=86_400, description="processor time", extra=_SECONDS)] = (
        10.0
    )
    timeout: Annotated[
        float,
        Meta(gt=0, le=86_400, description="wall time of the run, waiting included", extra=_SECONDS),
    ] = 120.0
    max_output: Annotated[
        int,
        Meta(ge=0, le=GIB, description="console text and returned value together", extra=_BYTES),
    ] = MIB
    max_calls: Annotated[
        int, Meta(ge=0, le=1_000_000, description="calls of bridge methods", extra=_COUNT)
    ] = 200
    max_request: Annotated[
        int, Meta(ge=0, le=64 * MIB, description="arguments of one call", extra=_BYTES)
    ] = MIB
    max_response: Annotated[
        int,
        Meta(
            ge=0, le=256 * MIB, description="answer of one call, or one stream in all", extra=_BYTES
        ),
    ] = 10 * MIB
    request_timeout: Annotated[
        float, Meta(gt=0, le=86_400, description="time of one call", extra=_SECONDS)
    ] = 30.0
    max_concurrent: Annotated[
        int, Meta(ge=1, le=64, description="calls open at once", extra=_COUNT)
    ] = 10
    max_tokens: Annotated[
        int,
        Meta(
            ge=0, le=1_000_000_000, description="tokens of all model calls together", extra=_COUNT
        ),
    ] = 200_000
    max_cost: Annotated[
        float, Meta(ge=0, le=10_000, description="money that model calls may cost", extra=_DOLLARS)
    ] = 1.0

    # --- grants: layers combine by what all of them name ---
    allow_env: Annotated[
        tuple[str, ...],
        Meta(description="environment variables that the spell may read", extra=_NAME),
    ] = ()
    allow_domain: Annotated[
        tuple[str, ...],
        Meta(description="hosts that a bridge may reach for the spell", extra=_DOMAIN),
    ] = ()
    allow_read: Annotated[
        tuple[str, ...], Meta(description="directories that the spell may read", extra=_DIRECTORY)
    ] = ()
    allow_write: Annotated[
        tuple[str, ...], Meta(description="directories that the spell may write", extra=_DIRECTORY)
    ] = ()
    allow_bridges: Annotated[
        tuple[str, ...],
        Meta(description="bridges or methods (http.get) that the spell may call", extra=_NAME),
    ] = ("llm",)
    libraries: Annotated[
        tuple[str, ...],
        Meta(description="directories whose spells the spell may require", extra=_DIRECTORY),
    ] = ()
    allow_models: Annotated[
        tuple[str, ...], Meta(description="models that the spell may use; '*' is any", extra=_NAME)
    ] = ("*",)
    require_tls: Annotated[
        bool, Meta(description="refuse plain HTTP to anything but loopback models")
    ] = True
    jit: Annotated[bool, Meta(description="let the JavaScript engine compile to machine code")] = (
        False
    )

    # --- containment ---
    isolation: Annotated[
        Literal["strict", "degraded"],
        Meta(description="strict refuses to run when a layer is missing; degraded runs without"),
    ] = "strict"

    @property
    def bridges(self) -> tuple[str, ...]:
        """Bridges and methods that the spell may call: what is granted, and what grants bring."""
        return (*self.allow_bridges, "library") if self.libraries else self.allow_bridges

    def __post_init__(self) -> None:
        # msgspec checks what it decodes, not what Python code builds, and a limit that is not a
        # number would be none: no clock ever passes NaN.
        for name, field in FIELDS.items():
            try:
                value = msgspec.convert(getattr(self, name), field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"{name}: {error}") from None
            msgspec.structs.force_setattr(self, name, value)


FIELDS: Final = {f.name: f for f in msgspec.structs.fields(Policy)}
META: Final[dict[str, Meta]] = {name: f.type.__metadata__[0] for name, f in FIELDS.items()}
_EXTRA: Final[dict[str, dict[str, Any]]] = {name: meta.extra or {} for name, meta in META.items()}
LIMITS: Final = {name: extra["unit"] for name, extra in _EXTRA.items() if "unit" in extra}
"""Each limit and the unit it is measured in."""
GRANTS: Final = {name: extra["names"] for name, extra in _EXTRA.items() if "names" in extra}
"""Each grant that is a list, and what its items name."""
