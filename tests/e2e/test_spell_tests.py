"""What people read about tests of spells, done: the examples' tests, and the page that explains them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_testkit.model_server import Answer, ModelServer
from tests.support.command import plain_environment
from tests.support.warm import WarmCommand

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"
PART = "## A spell\n"


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommand]:
    folder = tmp_path_factory.mktemp("warm")
    with WarmCommand(plain_environment(folder), folder) as command:
        yield command


def test_the_tests_of_the_examples_pass(
    warm: WarmCommand, environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    ran = warm("test", "examples/", folder=tmp_path, env=environment)
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"^\d+ passed in 9 files, ", ran.stdout, re.MULTILINE)
    assert "failed" not in ran.stdout


def test_the_page_about_tests_of_spells_is_true(
    warm: WarmCommand, environment: dict[str, str], tmp_path: Path
) -> None:
    text = PAGE.read_text()
    text = text[text.index(PART) :]
    text = text[: text.find("\n## ") if "\n## " in text else None]
    files = re.findall(r"^`([\w.]+)`, [^\n]*:\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in files} == {
        "summary.lua", "summary.js", "summary.test.lua", "summary.test.js", "summary.test.toml",
    }  # fmt: skip
    for name, source in files:
        (tmp_path / name).write_text(source)
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    with ModelServer() as server:
        server.script("m", Answer("Owls hunt at night."))
        config = tmp_path / "config.toml"
        provider = f'[llm.providers.scripted]\nbase_url = "{server.base_url}"\n'
        config.write_text(f'[llm]\ndefault_model = "scripted/m"\n{provider}')
        variables = {**environment, "LLMSPELL_CONFIG": str(config)}
        for command, due in (step for block in blocks for step in _steps(block)):
            program, *arguments = command.split(" ", 1)
            if program == "llmspell-supervisor":
                ran = warm(*arguments[0].split(), folder=tmp_path, env=variables)
                if due:
                    assert _steady(ran.stdout) == _steady(due)
            else:
                subprocess.run(command, shell=True, cwd=tmp_path, check=True)
        wrote = warm("test", "run.test.toml", folder=tmp_path, env=environment)
    assert wrote.returncode == 1
    assert "argument 1.messages[0].content differs" in wrote.stdout


def _steps(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a block, and what it shows."""
    for step in block.split("$ ")[1:]:
        command, _, shown = step.partition("\n")
        yield command, shown


def _steady(shown: str) -> list[str]:
    """What two runs share: no times, and marks of tests in any order."""
    lines = re.sub(r"\d+\.\d s\b", "N s", shown.strip()).split("\n")
    return ["".join(sorted(lines[0])) if set(lines[0]) <= set(".FsE") else lines[0], *lines[1:]]
