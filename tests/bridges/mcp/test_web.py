"""A server at an address."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.bridges.mcp.stage import mcp_host, refused, text
from tests.support.mcp_servers import WebLedger


def test_a_server_at_an_address_is_sent_its_key_and_the_spell_does_not_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEDGER_KEY", "hunter2-hunter2")
    with WebLedger() as web:
        config = {"url": web.url, "api_key_env": "LEDGER_KEY", "headers": {"x-house": "Orla"}}
        host = mcp_host({"web": config})

        async def work() -> list[str]:
            await host.call("mcp.call", "web", "deposit", {"name": "ada", "amount": 5})
            names = ("authorization", "x-house", "accept-encoding")
            return [await text(host, "web", "heard", header=name) for name in names]

        key, house, encoding = host.run(work)
    assert key.split() == ["Bearer", "***", hashlib.sha256(b"Bearer hunter2-hunter2").hexdigest()]
    assert (house.split()[0], encoding.split()[0]) == ("Orla", "identity")


def test_a_server_at_an_address_that_dies_is_a_retryable_error_and_is_found_again() -> None:
    with WebLedger() as web:
        host = mcp_host({"web": {"url": web.url}})

        async def work() -> tuple[Any, Any]:
            await text(host, "web", "variable", name="HOME")
            web.kill()
            error = await refused(host, "mcp.call", "web", "variable", {"name": "HOME"})
            web.start()
            return error, await text(host, "web", "variable", name="HOME")

        error, again = host.run(work)
    assert (error.kind, error.retryable) == ("Provider", True)
    assert again
