"""A workflow whose supervisor is killed goes on in a new process, where it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HOST = Path(__file__).with_name("crash_host.py")
LANGUAGES = ("lua", "javascript")
TIMEOUT = 50
"""Seconds for a process that a test waits for; below the limit of the test itself."""


def effects(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "effects").read_text().split()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_steps_that_were_finished_are_not_run_again(language: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HOST), language, str(tmp_path)]
    with subprocess.Popen([*command, "7"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.kill()
    assert process.returncode == -9
    assert effects(tmp_path) == [1, 2, 3, 4, 5, 6]
    resumed = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
    assert json.loads(resumed.stdout) == [n * n for n in range(1, 11)]
    assert effects(tmp_path) == list(range(1, 11))
