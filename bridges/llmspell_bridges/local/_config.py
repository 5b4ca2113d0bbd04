"""What the operator may decide about the local model. One schema for file and flags."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB


class LocalConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the local model is run. Sizes are bytes, times seconds, lengths tokens."""

    path: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="a GGUF file of your own; without it the installed model"),
    ] = None
    context: Annotated[
        int, Meta(ge=256, le=1_048_576, description="tokens that all open answers share")
    ] = 4096
    max_tokens: Annotated[
        int, Meta(ge=1, le=1_048_576, description="tokens of an answer whose call sets no limit")
    ] = 1024  # a small model does not always find its end
    parallel: Annotated[
        int, Meta(ge=1, le=16, description="answers written at once; further calls wait")
    ] = 4
    threads: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(description="threads that compute; without it one for each processor"),
    ] = None
    memory: Annotated[
        Annotated[int, Meta(ge=256 * MIB, le=1024 * GIB)] | None,
        Meta(
            description="memory that the model's process may allocate; "
            "without it 1 GiB and twice the size of the model's file",
        ),
    ] = None
    start_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="time that loading the model may take")
    ] = 60.0
    idle: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="time without a call after which the model's memory is given back; "
            "the next call loads it again",
        ),
    ] = 600
