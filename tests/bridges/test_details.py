"""What bridges note of their calls, for the audit log: names that the operator knows things by."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from tests.bridges.host import Host
from tests.e2e.cross_engine.data_stage import data_settings
from tests.support.mcp_servers import ledger


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, dict[str, Any]]]:
    with data_settings() as found:
        yield {**found, "mcp": {"servers": {"ledger": ledger()}}}


CASES: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...] = (
    ("sql.query", ("shop", "SELECT title FROM books"), {"database": "shop"}),
    ("sql.execute", ("shop", "DELETE FROM books"), {"database": "shop"}),
    ("sql.columns", ("desk", "books"), {"database": "desk"}),
    ("memory.set", ("m", "k", 1), {"memory": "m"}),
    ("vector.upsert", ("c", {"id": "1", "vector": [1.0, 0.0]}), {"collection": "c"}),
    ("vector.search", ("c", {"vector": [1.0, 0.0]}), {"collection": "c"}),
    ("rag.remove", ("d", "a.md"), {"collection": "d"}),
    ("notify.send", ("ops", "hello"), {"target": "ops"}),
    ("notify.send", ("nobody", "hello"), {"target": "nobody"}),
    ("storage.put", ("files", "a/b", "x"), {"store": "files", "path": "a/b"}),
    ("storage.list", ("files",), {"store": "files", "path": None}),
    ("mcp.tools", ("ledger",), {"server": "ledger"}),
)


@pytest.mark.parametrize(
    ("method", "args", "detail"), CASES, ids=[f"{name} {args[0]}" for name, args, _ in CASES]
)
def test_a_call_notes_what_it_reached(
    settings: dict[str, dict[str, Any]], method: str, args: tuple[Any, ...], detail: dict[str, Any]
) -> None:
    name = method.partition(".")[0]
    host = Host(load(name, settings[name]))

    async def call() -> None:
        with contextlib.suppress(BridgeError):  # what is refused is noted as well
            await host.call(method, *args)

    host.run(call)
    assert host.context.detail == detail
