"""What is found to be wrong only once a spell runs: the thing is named, and the remedy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Command

if TYPE_CHECKING:
    from tests.support.users import OrdinaryUser

ASKS = "return llm.complete('hi').content"


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    """Runs `llmspell-supervisor ARGUMENT...` in `tmp_path`."""
    return Command(environment, tmp_path)


@pytest.mark.parametrize(
    ("name", "source", "place"),
    [
        ("a.lua", "return function() end", ""),
        ("a.js", "return () => 1", ""),
        ("a.lua", "return {list = {1, print}}", " at $.list[1]"),
        ("a.js", "return {list: [1, console.log]}", " at $.list[1]"),
    ],
)
def test_a_result_that_cannot_be_converted_is_named_by_its_place(
    command: Command, tmp_path: Path, name: str, source: str, place: str
) -> None:
    (tmp_path / name).write_text(source)
    done = command("run", name)
    assert (done.returncode, done.stdout) == (1, "")
    first, hint = done.stderr.splitlines()
    assert first == f"{name}: Conversion error: a function cannot cross{place}"
    assert hint.startswith("hint: only null, booleans, numbers, strings")


@pytest.mark.slow
def test_a_model_that_cannot_be_read_is_named_with_the_remedy(ordinary_user: OrdinaryUser) -> None:
    home = ordinary_user.home
    model, config, spell = (home / name for name in ("m.gguf", "c.toml", "m.lua"))
    model.write_bytes(b"GGUF")
    model.chmod(0o000)
    config.write_text(f'[llm.local]\npath = "{model}"\n')
    spell.write_text(ASKS)
    command = [sys.executable, "-m", "llmspell_supervisor", "run", str(spell)]
    done = ordinary_user.run([*command, "--model", "local", "--config", str(config)])
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("m.lua:1: Configuration error: cannot read the model file")
    assert f"{model}: Permission denied; check its permissions" in done.stderr.splitlines()[0]
