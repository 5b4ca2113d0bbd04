"""The worked example of a plugin, installed as a package of its own and used by its entry points."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.command import Command

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugins" / "abacus"
OURS = "llmspell-supervisor"
LEFT_OUT = ("pminit",)
"""Declared by pythonmonkey, and not installed: see the lock."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin in it, and nothing else."""
    folder = tmp_path_factory.mktemp("plugin")
    install(folder, PLUGIN)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment: our wheel with `[testkit]`, the plugin, and what they need."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    install(site, ROOT, PLUGIN)
    ours = Path(sysconfig.get_paths()["purelib"])
    for name in needed(f"{OURS}[testkit]"):
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (site / top).exists():
                (site / top).symlink_to(ours / top)
    return folder / "bin" / "python"


def install(folder: Path, *projects: Path) -> None:
    """Build and install projects, without what they need, from nothing but themselves."""
    flags = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", *flags, "--target", str(folder), *map(str, projects)]
    subprocess.run(command, check=True, text=True)


def needed(requirement: str) -> set[str]:
    """The distributions that a requirement brings, as their own metadata tells; not itself."""
    found: set[str] = set()
    waiting = [Requirement(requirement)]
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen or wanted.name in LEFT_OUT:
            continue
        seen.add(str(wanted))
        found.add(canonicalize_name(wanted.name))
        for text in metadata.distribution(wanted.name).requires or ():
            more = Requirement(text)
            extras = wanted.extras or {""}
            if more.marker is None or any(more.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(more)
    return found - {OURS}


@pytest.fixture
def with_plugin(environment: Mapping[str, str], tmp_path: Path, installed: Path) -> Command:
    """The command, in a Python that finds the plugin."""
    return Command({**environment, "PYTHONPATH": str(installed)}, tmp_path)


@pytest.mark.slow
def test_its_own_tests_pass_in_an_environment_that_has_only_the_test_kit(
    fresh: Path, tmp_path: Path
) -> None:
    tests = shutil.copytree(PLUGIN / "tests", tmp_path / "tests")
    command = [str(fresh), "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[6-9]\d passed, \d+ skipped", done.stdout), done.stdout
    where = "import llmspell_testkit, llmspell_abacus; print(llmspell_testkit.__file__)"
    found = subprocess.run([str(fresh), "-I", "-c", where], capture_output=True, text=True)
    assert str(fresh.parents[1]) in found.stdout, found.stderr


def test_the_environment_has_no_more_than_the_test_kit_brings() -> None:
    brought = needed(f"{OURS}[testkit]")
    assert {"pytest", "hypothesis", "lupa", "pythonmonkey"} <= brought
    assert not {"pytest-xdist", "pytest-timeout", "langgraph", "qdrant-client", "ruff"} & brought


def test_without_it_neither_its_bridge_nor_its_engine_is_there(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    command = Command(environment, tmp_path)
    engine = command("run", "--engine", "abacus", "-", stdin="1")
    assert (engine.returncode, "no engine 'abacus'" in engine.stderr) == (2, True)
    bridge = command("run", "--engine", "lua", "--allow-bridge", "convert", "-", stdin="return 1")
    assert (bridge.returncode, "no bridge 'convert'" in bridge.stderr) == (2, True)


def test_the_command_finds_both_by_their_entry_points(with_plugin: Command, tmp_path: Path) -> None:
    source = 'round(convert.to(26.2188, "mi", "km"), 1)'
    flags = ("--allow-bridge", "convert")
    done = with_plugin("run", "--engine", "abacus", *flags, "-", stdin=source)
    assert (done.returncode, done.stdout) == (0, "42.2\n"), done.stderr
    (tmp_path / "run.abacus").write_text(source)
    (tmp_path / "spell.toml").write_text(
        'spell = "run.abacus"\nengine = "abacus"\n[grants]\nallow_bridges = ["convert.to"]\n'
    )
    assert with_plugin("run", *flags, "run.abacus").stdout == "42.2\n"
    assert "A quantity in another unit." in with_plugin("info", "convert.to").stdout
    (tmp_path / "c.toml").write_text("[convert]\ndigits = 2\n")
    rounded = with_plugin("run", "--config", "c.toml", *flags, "run.abacus")
    assert rounded.stdout == "42.0\n"
    (tmp_path / "c.toml").write_text("[convert]\ndigts = 2\n")
    wrong = with_plugin("run", "--config", "c.toml", *flags, "run.abacus")
    assert "did you mean 'digits'?" in wrong.stderr
