"""The `[sql]` section of the config file."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from .._interface import BridgeConfig

SQLITE: Final = "sqlite:////"
"""Four slashes: an absolute path, so that the working directory decides nothing."""
POSTGRESQL: Final = "postgresql+psycopg://"
ALL: Final = ("*",)
"""`tables` that names every table."""

Url = Annotated[str, Meta(pattern=r"^(sqlite:////|postgresql\+psycopg://)\S+$")]
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class DatabaseConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A database: `[sql.databases.NAME]`. Spells know it by that name only."""

    url: Annotated[
        Url | None,
        Meta(description="sqlite:////absolute/path or postgresql+psycopg://host/name"),
    ] = None
    url_env: Annotated[
        EnvName | None,
        Meta(description="environment variable that holds the address, password and all"),
    ] = None
    mode: Annotated[
        Literal["read", "write"], Meta(description="whether spells may change anything")
    ] = "read"
    tables: Annotated[
        tuple[str, ...],
        Meta(description="tables that spells may touch; '*' is all, and nothing is none"),
    ] = ()
    max_rows: Annotated[int, Meta(ge=1, le=100_000, description="rows of one answer")] = 1000
    max_bytes: Annotated[
        int, Meta(ge=1024, le=256 * 1024 * 1024, description="bytes of one answer")
    ] = 1024 * 1024
    timeout: Annotated[float, Meta(gt=0, le=86_400, description="seconds of one statement")] = 10.0


class SqlConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which databases there are."""

    databases: Annotated[
        dict[str, DatabaseConfig], Meta(description="databases by the name that spells use")
    ] = field(default_factory=dict)
