"""What the operator may write, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_bridges import BridgeError, load

PROGRAM = {"command": ["server"]}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "neither command nor url": ({"x": {}}, "mcp.servers.x.command"),
    "command and url": ({"x": {**PROGRAM, "url": "https://a.example/"}}, "mcp.servers.x.command"),
    "an empty argument": ({"x": {"command": [""]}}, "mcp.servers.x.command"),
    "plain http to another machine": ({"x": {"url": "http://a.example/"}}, "mcp.servers.x.url"),
    "a key in the address": ({"x": {"url": "https://key@a.example/"}}, "mcp.servers"),
    "headers for a program": ({"x": {**PROGRAM, "headers": {"a": "b"}}}, "mcp.servers.x.headers"),
    "a header with a line break": (
        {"x": {"url": "https://a.example/", "headers": {"a": "b\r\nc: d"}}},
        "mcp.servers.x.headers",
    ),
    "variables for an address": (
        {"x": {"url": "https://a.example/", "env": ["HOME"]}},
        "mcp.servers.x.env",
    ),
    "a name with the separator": ({"a__b": PROGRAM}, "mcp"),
    "an unknown key": ({"x": {**PROGRAM, "shell": True}}, "mcp.servers"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_section_that_does_not_fit_is_refused_by_its_key(case: str) -> None:
    servers, field = BAD[case]
    with pytest.raises(BridgeError) as caught:
        load("mcp", {"servers": servers})
    assert caught.value.kind == "Configuration"
    assert (caught.value.field or "").startswith(field)


@pytest.mark.parametrize("url", ["https://a.example/mcp", "http://127.0.0.1:8000/mcp"])
def test_an_address_is_https_or_this_machine(url: str) -> None:
    assert load("mcp", {"servers": {"x": {"url": url}}}).name == "mcp"
