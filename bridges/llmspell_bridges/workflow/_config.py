"""The `[workflow]` section of the config file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .._kept import StateConfig

Port = Annotated[int, Meta(ge=1, le=65_535)]
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class WorkflowConfig(StateConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where runs that can be resumed are kept, and what wakes reactive workflows."""

    max_runs: Annotated[
        int, Meta(ge=0, le=10_000, description="runs kept of one spell; 0 keeps none")
    ] = 100
    keep_days: Annotated[
        float, Meta(gt=0, le=3650, description="days that a run is kept after its last step")
    ] = 30.0
    max_run_size: Annotated[
        int, Meta(ge=65_536, le=1 << 32, description="bytes of one kept run")
    ] = 64 * 1024 * 1024
    webhook_port: Annotated[
        Port | None, Meta(description="port on 127.0.0.1 for webhooks; without it there are none")
    ] = None
    webhook_token_env: Annotated[
        EnvName | None, Meta(description="variable with the bearer token that webhooks must carry")
    ] = None
