"""`model`: what is there, and removing it. Fetching is tested with the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmspell_bridges.local import install
from tests.support.command import Command


def test_a_model_that_is_not_installed_is_listed_as_such(command: Command) -> None:
    [model] = json.loads(command("model", "list", "--json").stdout)
    assert (model["name"], model["path"]) == ("smollm2", None)
    assert len(model["sha256"]) == 64
    done = command("model", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "smollm2" in done.stdout
    assert "not installed" in done.stdout


@pytest.mark.local_model
def test_an_installed_model_is_listed_with_its_place_and_can_be_removed(
    command: Command, tmp_path: Path
) -> None:
    real = install().path
    assert real is not None
    folder = tmp_path / ".local/share/llmspell-supervisor/models"
    folder.mkdir(parents=True)
    (folder / real.name).hardlink_to(real)
    assert f"installed: {folder / real.name}" in command("model", "list").stdout
    done = command("model", "remove")
    assert (done.returncode, done.stdout, done.stderr) == (0, "removed smollm2\n", "")
    assert list(folder.iterdir()) == []
    assert real.exists()
