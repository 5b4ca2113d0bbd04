"""The worked example of a plugin, installed as a package of its own and used by its entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.command import Command

PLUGIN = Path(__file__).parents[2] / "examples" / "plugins" / "abacus"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin in it, and nothing else."""
    folder = tmp_path_factory.mktemp("plugin")
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", *install, "--target", str(folder), str(PLUGIN)]
    subprocess.run(command, check=True, text=True)
    return folder


@pytest.fixture
def with_plugin(environment: Mapping[str, str], tmp_path: Path, installed: Path) -> Command:
    """The command, in a Python that finds the plugin."""
    return Command({**environment, "PYTHONPATH": str(installed)}, tmp_path)


@pytest.mark.slow
def test_its_own_tests_pass_against_the_installed_package(installed: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest"]
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(PLUGIN), str(PLUGIN / "tests")],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


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
