"""The `[mcp]` section of the config file: which servers there are, and what each of them gets."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from .._domains import is_loopback
from .._errors import BridgeError
from .._interface import BridgeConfig

GIB: Final = 1 << 30

ServerName = Annotated[
    str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*$", max_length=24)
]
"""Without `__`, which stands between a server and its tool; short, so that both fit in a name."""
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s@]+$")]
Folder = Annotated[str, Meta(pattern=r"^/")]

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class McpServerConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One server: a program that is started (`command`), or an address (`url`)."""

    command: Annotated[
        tuple[str, ...], Meta(description="program and arguments; no shell reads them")
    ] = ()
    url: Annotated[
        Url | None, Meta(description="streamable HTTP endpoint; https, or this machine")
    ] = None
    env: Annotated[
        tuple[EnvName, ...],
        Meta(description="environment variables that the program gets, beside PATH and HOME"),
    ] = ()
    cwd: Annotated[Folder | None, Meta(description="where the program runs; else /")] = None
    tools: Annotated[
        tuple[str, ...], Meta(description="tools that spells may use; * in a name is anything")
    ] = ("*",)
    timeout: Annotated[Seconds, Meta(description="seconds of one call")] = 30.0
    start_timeout: Annotated[Seconds, Meta(description="seconds until it must be ready")] = 30.0
    memory: Annotated[
        int, Meta(ge=16 << 20, description="bytes that each of its processes may allocate")
    ] = 2 * GIB
    cpu: Annotated[
        int, Meta(ge=1, description="seconds of computing after which a process is stopped")
    ] = 3600
    headers: Annotated[dict[str, str], Meta(description="sent with each request to `url`")] = {}
    api_key_env: Annotated[
        EnvName | None, Meta(description="variable with the bearer token for `url`")
    ] = None


class McpConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The servers that spells may use, by the names that spells give them."""

    servers: Annotated[
        dict[ServerName, McpServerConfig], Meta(description="MCP servers by name")
    ] = field(default_factory=dict)


def check(name: str, config: McpServerConfig) -> None:
    """Refuse what no field alone can tell. Raises `BridgeError` of kind `Configuration`."""

    def refuse(key: str, what: str) -> BridgeError:
        where = f"mcp.servers.{name}.{key}"
        return BridgeError("Configuration", f"[{where}] {what}", field=where)

    if bool(config.command) == (config.url is not None):
        raise refuse("command", "a server has either a command or a url")
    if config.url is None:
        if config.headers or config.api_key_env:
            raise refuse("headers", "headers and api_key_env are for servers with a url")
        if not all(config.command) or "\0" in "".join(config.command):
            raise refuse("command", "holds an empty text, or one with a NUL")
        return
    if config.env or config.cwd:
        raise refuse("env", "env and cwd are for servers with a command")
    parts = urlsplit(config.url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise refuse("url", "must be https: only this machine is spoken to in the clear")
    for header, value in config.headers.items():
        if not _HEADER.fullmatch(header) or not (value.isascii() and value.isprintable()):
            raise refuse("headers", f"'{header[:60]}' is no header that can be sent")
