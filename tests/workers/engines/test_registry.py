"""Where engines come from: ours by a table, others from installed packages."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_workers.engines import load_engine

PACKAGE = """
from llmspell_workers.engines._lua import LuaEngine

class Moon(LuaEngine):
    name = "moon"
    suffixes = (".moon",)

class Thief(LuaEngine):
    name = "thief"
"""
ENTRY_POINTS = """
[llmspell.engines]
moon = other_engine_package:Moon
lua = other_engine_package:Thief
"""
PROGRAM = """
import json
from llmspell_supervisor import Spell, run_spell
report = run_spell(Spell.from_text("return params.x + 1", "moon"), params={"x": 41})
print(json.dumps([report.engine, report.verdict, report.value, report.layers["seccomp"][:2]]))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages, as a zygote looks into: one that holds its own."""
    (tmp_path / "other_engine_package.py").write_text(PACKAGE)
    metadata = tmp_path / "other_engine_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    found = importlib.util.find_spec("msgspec")
    assert found is not None
    assert found.origin is not None
    (tmp_path / "msgspec").symlink_to(Path(found.origin).parent)
    return tmp_path


@pytest.mark.parametrize("name", ["lua", "javascript"])
def test_an_engine_of_ours_is_found_by_its_name(name: str) -> None:
    assert load_engine(name).name == name


def test_an_installed_package_cannot_take_a_name_of_ours(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    assert load_engine("moon").name == "moon"
    assert load_engine("lua").name == "lua"


def test_an_engine_that_there_is_not_is_named() -> None:
    with pytest.raises(LookupError, match="'cobol'"):
        load_engine("cobol")


def test_a_spell_runs_in_an_engine_that_an_installed_package_brings(site: Path) -> None:
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["moon", "ok", 42, "on"]
