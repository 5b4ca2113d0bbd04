"""The `[storage]` section of the config file. Keys are never in it: only names of variables."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from .._interface import BridgeConfig

LOCAL: Final = "file:///"

Url = Annotated[str, Meta(pattern=r"^((s3|gs|az)://[^\s/?#]|file:///|memory:///)[^\s?#]*$")]
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class ObjectStoreConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store: `[storage.stores.NAME]`. Spells know it by that name, and nothing above its prefix."""

    url: Annotated[
        Url,
        Meta(
            description="s3://bucket/prefix, gs://…, az://account/container/…, file:///… or memory:///"
        ),
    ]
    mode: Annotated[
        Literal["read", "write"], Meta(description="whether spells may change anything")
    ] = "read"
    options: Annotated[
        dict[str, str], Meta(description="settings of the service, such as region or endpoint")
    ] = field(default_factory=dict)
    options_env: Annotated[
        dict[str, EnvName],
        Meta(description="settings that are secret, by the variables that hold them"),
    ] = field(default_factory=dict)
    max_object: Annotated[
        int, Meta(ge=1, le=256 * 1024 * 1024, description="bytes of one object, read or written")
    ] = 8 * 1024 * 1024
    max_list: Annotated[int, Meta(ge=1, le=100_000, description="objects of one list")] = 1000


class StorageConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which stores there are."""

    stores: Annotated[
        dict[str, ObjectStoreConfig], Meta(description="stores by the name that spells use")
    ] = field(default_factory=dict)
