"""The tools for files and the web: they are `fs` and `http`, under the same grants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import load
from tests.bridges.host import Host
from tests.bridges.tools.host import call, refused, tools_host


def host(folder: Path, **more: Any) -> Host:
    """A host with the bridges that these tools stand on, which may use a folder."""
    places = {"allow_read": (str(folder),), "allow_write": (str(folder),)}
    bridges = ("tools", "fs", "http")
    return Host(*map(load, bridges), **{"allow_bridges": bridges, **places, **more})


def test_files_are_written_read_listed_and_found(tmp_path: Path) -> None:
    there = host(tmp_path)

    async def work() -> list[Any]:
        return [
            await there.call("tools.file_write", "notes/owl.md", "Owls hoot"),
            await there.call("tools.call", "file_write", {"path": "cat.md", "text": "Cats"}),
            await there.call("tools.call", "file_read", {"path": "notes/owl.md"}),
            await there.call("tools.call", "file_list", {}),
            await there.call("tools.call", "file_search", {"pattern": "**/*.md"}),
            await there.call("tools.file_search", "**/*.md", "hoot"),
        ]

    assert there.run(work) == [
        9,
        4,
        "Owls hoot",
        [{"name": "cat.md", "kind": "file"}, {"name": "notes", "kind": "directory"}],
        ["cat.md", "notes/owl.md"],
        ["notes/owl.md"],
    ]
    assert (tmp_path / "notes" / "owl.md").read_text() == "Owls hoot"


@pytest.mark.attack("B13")
@pytest.mark.parametrize("path", ["../canary", "/etc/passwd", "a/../../canary", "link/x"])
@pytest.mark.parametrize("name", ["file_read", "file_write", "file_list", "file_search"])
def test_nothing_outside_the_grants_is_touched(name: str, path: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "canary").write_text("canary")
    (inside / "link").symlink_to(tmp_path)
    arguments = {"file_write": {"path": path, "text": "x"}, "file_search": {"pattern": path}}
    found = arguments.get(name, {"path": path})
    try:
        value = call(name, found, host(inside))
    except Exception:  # noqa: BLE001 - refused, one way or another
        value = []
    assert value == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["canary", "inside"]
    assert (tmp_path / "canary").read_text() == "canary"


def test_what_a_spell_may_not_write_no_tool_of_it_writes(tmp_path: Path) -> None:
    kind, _, _ = refused("file_write", {"path": "x", "text": "y"}, host(tmp_path, allow_write=()))
    assert kind == "Policy"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "bridge"),
    [
        ("file_read", {"path": "x"}, "fs"),
        ("file_write", {"path": "x", "text": "y"}, "fs"),
        ("http_request", {"url": "https://x.example"}, "http"),
    ],
)
def test_the_bridge_below_must_be_granted(name: str, arguments: Any, bridge: str) -> None:
    kind, message, _ = refused(name, arguments, tools_host())
    assert (kind, message) == (
        "Policy",
        f"the bridge {bridge} is not granted to this spell: --allow-bridge {bridge}",
    )
    there = tools_host()
    health = there.run(lambda: there.call("tools.health", name))
    assert health["healthy"] is False
    assert f"--allow-bridge {bridge}" in health["message"]


@pytest.mark.attack("B01", "B02")
@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://127.0.0.1:1/", "https://evil.example/"]
)
def test_a_request_goes_where_the_spell_may_go(url: str, tmp_path: Path) -> None:
    there = host(tmp_path, allow_domain=("good.example", "127.0.0.1", "169.254.169.254"))
    assert refused("http_request", {"url": url}, there)[0] == "Policy"
