"""The `[notify]` section of the config file. Addresses are secrets: only their variables are named."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from .._interface import BridgeConfig

EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class TargetConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where messages go: `[notify.targets.NAME]`. Spells know it by that name only."""

    url_env: Annotated[
        EnvName,
        Meta(description="environment variable that holds the address, as apprise writes it"),
    ]
    per_minute: Annotated[
        int, Meta(ge=1, le=10_000, description="messages in a minute, of all spells together")
    ] = 10
    max_body: Annotated[
        int, Meta(ge=1, le=1024 * 1024, description="characters of one message")
    ] = 4000


class NotifyConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom spells may tell something."""

    targets: Annotated[
        dict[str, TargetConfig], Meta(description="targets by the name that spells use")
    ] = field(default_factory=dict)
