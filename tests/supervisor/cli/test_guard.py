"""Whatever goes wrong inside the command itself, a person sees one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Command

BROKEN = "raise RuntimeError('broken \\x1b[2J install')\n"


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """Environment in which the module that reads TOML fails in a way that nobody foresaw."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "tomllib.py").write_text(BROKEN)
    (tmp_path / "a.lua").write_text("return 1")
    (tmp_path / "c.toml").write_text("")
    path = [str(tmp_path / "modules"), *(p for p in sys.path if p)]
    return {"PYTHONPATH": ":".join(path)}


def test_a_bug_is_one_line_and_exit_code_70(command: Command, broken: dict[str, str]) -> None:
    done = command("run", "a.lua", "--config", "c.toml", env=broken)
    assert done.returncode == 70
    assert done.stderr == (
        "llmspell-supervisor: internal error: RuntimeError: broken \\x1b[2J install "
        "(please report; --verbose shows the details)\n"
    )


def test_verbose_shows_the_details_of_a_bug(command: Command, broken: dict[str, str]) -> None:
    done = command("run", "a.lua", "--config", "c.toml", "--verbose", env=broken)
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "\x1b" not in done.stderr


def test_on_another_system_the_command_says_that_it_needs_linux() -> None:
    program = (
        "import sys; sys.platform = 'darwin'; from llmspell_supervisor.cli import main; "
        "code = main(['run', 'a.lua']); print('asyncio' in sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr == "llmspell-supervisor needs Linux; this is darwin\n"
