"""A host with `http`, which may reach servers of the test."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.http import HttpBridge, HttpConfig
from llmspell_bridges.http._resolver import Resolver
from tests.bridges.host import Host
from tests.support.web_server import WebServer


def host_of(
    *servers: WebServer, settings: Any = None, resolver: Resolver | None = None, **policy: Any
) -> Host:
    """A host whose spell may ask `servers` by their address, unless `policy` says other."""
    given = {
        "allow_private": [f"127.0.0.1:{server.port}" for server in servers],
        "rate": 1000,
        "burst": 1000,
        **(settings or {}),
    }
    granted = {"allow_domain": ("127.0.0.1",), **policy}
    return Host(HttpBridge(msgspec.convert(given, HttpConfig), resolver), **granted)


def ask(server: WebServer, method: str, path: str, *args: Any, **more: Any) -> Any:
    """One call of one run. `path` is on the server; `more` is as in `host_of`."""
    host = host_of(server, **more)
    return host.run(
        lambda: host.call(f"http.{method}", f"http://127.0.0.1:{server.port}{path}", *args)
    )


def refusal(server: WebServer, method: str, path: str, *args: Any, **more: Any) -> BridgeError:
    """One call of one run that must not go well."""
    with pytest.raises(BridgeError) as caught:
        ask(server, method, path, *args, **more)
    return caught.value
