"""The config file that `init` writes."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from llmspell_supervisor._config import Config
from llmspell_supervisor._policy import FIELDS, GRANTS, Policy
from llmspell_supervisor._resolve import resolve
from llmspell_supervisor.cli._init import template
from tests.support.command import Command


def test_the_file_as_it_is_written_changes_nothing(command: Command, tmp_path: Path) -> None:
    done = command("init")
    path = tmp_path / ".config/llmspell-supervisor/config.toml"
    assert done.returncode == 0
    assert str(path) in done.stdout
    assert resolve(Config.load(str(path)).layers()).policy == Policy()


def test_every_setting_is_accepted_once_its_line_is_uncommented(tmp_path: Path) -> None:
    # A setting's line is `# key = ...` or `# [table]`; all else in a comment is prose.
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", template(), flags=re.MULTILINE)
    for folder in ("/srv/data", "/srv/out", "/srv/spells/lib"):
        text = text.replace(folder, str(tmp_path))
    # A server is a program or an address, never both.
    before, server, after = text.partition("[mcp.servers.NAME]\n")
    own, table, rest = after.partition("\n[")
    own = re.sub(r"^(url|headers|api_key_env) = .*\n", "", own, flags=re.MULTILINE)
    (tmp_path / "c.toml").write_text(before + server + own + table + rest)
    config = Config.load(str(tmp_path / "c.toml"))
    assert set(config.policy) == set(FIELDS)
    plain = {name for name in FIELDS if name not in GRANTS}
    defaults = {name: FIELDS[name].default for name in plain}
    assert {name: config.policy[name] for name in plain} == defaults
    assert "careful" in config.profiles
    assert "llm" in config.bridges


def test_the_file_is_for_its_owner_only(command: Command, tmp_path: Path) -> None:
    command("init", "c.toml")
    assert stat.S_IMODE((tmp_path / "c.toml").stat().st_mode) == 0o600


def test_a_file_that_is_there_stays_unless_forced(command: Command, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("# mine")
    assert command("init", "c.toml").returncode == 2
    assert (tmp_path / "c.toml").read_text() == "# mine"
    assert command("init", "c.toml", "--force").returncode == 0
    assert "[policy]" in (tmp_path / "c.toml").read_text()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_link_is_not_written_through(command: Command, tmp_path: Path, force: list[str]) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "c.toml").symlink_to("target")
    command("init", "c.toml", *force)
    assert (tmp_path / "target").read_text() == "precious"


def test_nothing_is_left_behind_but_the_file(command: Command, tmp_path: Path) -> None:
    command("init", "new/c.toml")
    command("init", "new/c.toml")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["c.toml"]
