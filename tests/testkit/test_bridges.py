"""Our own bridges, held to the contract of all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmspell_bridges import Bridge, load
from llmspell_bridges._catalogue import _OURS
from llmspell_testkit import BridgeContract, Environment, Example

# `workflow` has none: the first call of it imports for seconds, in whichever process this runs.
EXAMPLES: dict[str, tuple[Example, ...]] = {
    "fs": (
        Example("roots", (), {"read": [], "write": []}),
        Example("read", ("/etc/passwd",), error="Policy", field="path"),
        Example("write", ("a", "b"), error="Policy", field="path"),
    ),
    "http": (
        Example("get", ("https://a.example",), error="Policy", field="url"),
        Example("request", ("GET", "ftp://a.example"), error="Validation", field="url"),
    ),
    "library": (Example("require", ("a.b",), error="Validation", field="name"),),
    "llm": (
        Example(
            "complete",
            ({"prompt": "x", "tempereture": 1},),
            error="Validation",
            field="tempereture",
        ),
    ),
    "mcp": (
        Example("servers", (), []),
        Example("tools", ("nobody",), error="Validation", field="server"),
    ),
    "memory": (
        Example("get", ("m", "k")),
        Example("history", ("m",), []),
        Example("delete", ("m", "k"), value=False),
        Example("get", ("", "k"), error="Validation", field="memory"),
    ),
    "notify": (
        Example("targets", (), []),
        Example("send", ("nobody", "hi"), error="Configuration", field="target"),
    ),
    "rag": (
        Example("retrieve", ("none", "q"), []),
        Example("remove", ("none", "s"), 0),
    ),
    "sql": (Example("query", ("nobody", "select 1"), error="Configuration", field="db"),),
    "storage": (Example("get", ("nobody", "a"), error="Configuration", field="store"),),
    "tools": (
        Example("calculator", ("2 * (3 + 4)",), 14),
        Example("calculator", ("1 / 0",), error="Validation", field="expression"),
        Example("json_query", ({"a": [1, 2]}, "a[1]"), 2),
        Example("csv_parse", ("a,b\n1,2\n",), [{"a": "1", "b": "2"}]),
        Example("csv_format", ([["a", "b"], [1, 2]],), "a,b\n1,2\n"),
        Example("call", ("no_such",), error="Validation", field="name"),
    ),
    "vector": (
        Example("list", (), []),
        Example("search", ("none", "q"), []),
    ),
}


@pytest.fixture(params=sorted(_OURS))
def ours(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestOurBridges(BridgeContract):
    @pytest.fixture
    def bridge(self, ours: str, spell_environment: Environment) -> Bridge:
        return load(ours)

    @pytest.fixture
    def all_examples(self, ours: str) -> Sequence[Example]:
        return EXAMPLES.get(ours, ())
