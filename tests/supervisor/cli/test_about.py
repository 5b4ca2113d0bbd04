"""What a spell says about itself, by `info SPELL` and `run SPELL --help`, and that it is enforced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import Command

MANIFEST = """\
spell = "report.lua"
name = "Weekly report"
description = "Sums up a week in a few lines."

[params.topic]
type = "string"
required = true
description = "what it is about"

[params.lines]
type = "integer"
default = 3

[params.tone]
type = "string"
choices = ["dry", "warm"]

[limits]
timeout = "20s"

[grants]
allow_bridges = ["llm.complete"]
allow_env = ["REPORT_TITLE"]
"""

ABOUT = """\
spell report.lua  (lua)
  Weekly report
  Sums up a week in a few lines.
parameters
  topic  string; required; what it is about
  lines  integer; default 3
  tone   "dry" or "warm"; optional
limit timeout: 20 s
needs allow_env: REPORT_TITLE  (--allow-env REPORT_TITLE)
needs allow_bridges: llm.complete  (--allow-bridge llm.complete)
"""

HELP = f"""\
usage: llmspell-supervisor run [options] report.lua [--param KEY=VALUE ...]

{ABOUT}
llmspell-supervisor run --help explains the options.
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "report.lua").write_text("return params")
    (tmp_path / "other.lua").write_text("return params")
    (tmp_path / "spell.toml").write_text(MANIFEST)


def test_info_shows_what_a_spell_says_about_itself(command: Command) -> None:
    assert command("info", "report.lua").stdout == ABOUT
    document = json.loads(command("info", "report.lua", "--json").stdout)
    assert document["parameters"][1] == {
        "name": "lines",
        "type": "integer",
        "description": "",
        "required": False,
        "default": 3,
        "choices": [],
    }
    assert document["grants"] == {
        "allow_env": ["REPORT_TITLE"],
        "allow_bridges": ["llm.complete"],
    }


def test_info_about_a_spell_without_a_manifest_says_that_it_takes_any_parameters(
    command: Command,
) -> None:
    shown = command("info", "other.lua").stdout
    assert shown == "spell other.lua  (lua)\nparameters: any; it declares none\n"


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_behind_a_spell_is_that_of_the_spell(command: Command, flag: str) -> None:
    done = command("run", "report.lua", flag)
    assert (done.returncode, done.stdout, done.stderr) == (0, HELP, "")


def test_help_is_that_of_run_for_a_spell_without_a_manifest_and_before_a_spell(
    command: Command,
) -> None:
    usual = command("run", "--help").stdout
    assert usual.startswith("usage: llmspell-supervisor run [options] SPELL")
    assert command("run", "other.lua", "--help").stdout == usual
    assert command("run", "--help", "report.lua").stdout == usual


def test_help_of_a_spell_whose_manifest_is_wrong_says_so(command: Command, tmp_path: Path) -> None:
    (tmp_path / "spell.toml").write_text("[limit]\n")
    done = command("run", "report.lua", "--help")
    assert done.returncode == 2
    assert "spell.toml:1: limit: unknown key; did you mean 'limits'?" in done.stderr


def test_parameters_are_checked_and_completed_before_the_run(command: Command) -> None:
    grant = ("--allow-env", "REPORT_TITLE", "-q")
    done = command("run", "report.lua", *grant, "--param", "topic=3", "--param", "lines=7")
    assert json.loads(done.stdout) == {"topic": "3", "lines": 7}
    refused = command("run", "report.lua", *grant, "--param", "lines=x", "--param", "topic=a")
    assert refused.returncode == 2
    assert "parameter 'lines': 'x' is not an integer (--param lines=3)" in refused.stderr
    missing = command("run", "report.lua", *grant)
    assert "parameter 'topic' is required: what it is about" in missing.stderr


def test_the_manifest_names_the_engine_of_a_spell_without_a_suffix(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("return [1, 2].length")
    (tmp_path / "spell.toml").write_text('engine = "javascript"\n')
    assert command("run", "plain").stdout == "2\n"
    assert command("validate", "plain").stdout == "plain: ok\n"
    assert command("run", "--engine", "lua", "plain").returncode == 1


def test_a_spell_has_libraries_of_granted_folders_only(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "words.lua").write_text("return 'from lib'")
    (tmp_path / "words.lua").write_text("return 'beside the spell'")
    (tmp_path / "other.lua").write_text("return require('words')")
    assert command("run", "--library", "lib", "other.lua").stdout == "from lib\n"
    without = command("run", "other.lua")
    assert without.returncode == 1
    assert "attempt to call a nil value (global 'require')" in without.stderr
    assert "no library is granted: run with --library DIR" in without.stderr
    (tmp_path / "spell.toml").write_text('[grants]\nlibraries = ["lib"]\n')
    needs = command("run", "other.lua")
    assert needs.returncode == 2
    assert f"needs libraries of {tmp_path}/lib (run with --library {tmp_path}/lib)" in needs.stderr
