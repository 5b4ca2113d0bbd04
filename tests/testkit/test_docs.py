"""The examples of docs/testing.md are tests, and pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_testkit import programs

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
FILE = re.compile(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_examples_pass_as_they_stand(tmp_path: Path) -> None:
    files = dict(FILE.findall(PAGE.read_text()))
    assert len(files) == 8
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stdout
    count = re.search(r"(\d+) passed", done.stdout)
    assert count is not None
    assert int(count[1]) > 70


def test_the_page_counts_its_tests_and_names_what_there_is() -> None:
    text = PAGE.read_text()
    assert programs.__module__.startswith("llmspell_testkit")
    plugin = (PAGE.parents[1] / "testkit" / "llmspell_testkit" / "plugin.py").read_text()
    fixtures = set(re.findall(r"^def (\w+)\(", plugin, re.MULTILINE))
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == fixtures
