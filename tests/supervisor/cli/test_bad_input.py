"""Whatever is wrong is said in one line that names it and the remedy, with exit code 2."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command

BAD: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "no command": ([], ("say which COMMAND", "--help")),
    "unknown command": (["rnu", "a.lua"], ("no command 'rnu'", "did you mean 'run'")),
    "a spell as the command": (["a.lua"], ("no command 'a.lua'", "run a.lua")),
    "no spell": (["run"], ("SPELL", "run --help")),
    "missing file": (["run", "none.lua"], ("none.lua: no such file",)),
    "directory": (["run", "folder"], ("folder is a directory",)),
    "directory with a suffix": (["run", "folder.lua"], ("folder.lua is a directory",)),
    "pipe": (["run", "pipe.lua"], ("pipe.lua is a pipe",)),
    "device": (["run", "/dev/zero"], ("/dev/zero is a device",)),
    "empty file": (["run", "empty.lua"], ("empty.lua is empty",)),
    "unknown suffix": (["run", "a.txt"], ("unknown suffix '.txt'", ".lua, .js, .mjs")),
    "misspelt suffix": (["run", "a.lau"], ("did you mean '.lua'",)),
    "no suffix": (["run", "spell"], ("no suffix", "--engine")),
    "invalid UTF-8": (["run", "latin.lua"], ("latin.lua", "line 2", "byte offset", "UTF-8")),
    "NUL bytes": (["run", "nul.lua"], ("NUL byte",)),
    "50 MB": (["run", "large.lua"], ("50 MiB", "the cap is 4 MiB")),
    "unknown engine": (["run", "a.lua", "--engine", "lau"], ("no engine 'lau'", "'lua'")),
    "size without number": (["run", "a.lua", "--memory", "lots"], ("--memory", "256M")),
    "size too small": (["run", "a.lua", "--memory", "1K"], ("--memory", "at least 48 MiB")),
    "size too large": (["run", "a.lua", "--memory", "1T"], ("--memory", "at most 64 GiB")),
    "negative count": (["run", "a.lua", "--max-calls", "-1"], ("--max-calls", "'-1'")),
    "negative time": (["run", "a.lua", "--cpu=-5s"], ("--cpu", "'-5s'", "write 5s")),
    "zero time": (["run", "a.lua", "--timeout", "0"], ("--timeout", "more than 0")),
    "time that is NaN": (["run", "a.lua", "--cpu", "nan"], ("--cpu", "'nan'")),
    "time without end": (["run", "a.lua", "--timeout", "inf"], ("--timeout", "'inf'")),
    "negative money": (["run", "a.lua", "--max-cost", "-0.5"], ("--max-cost", "0.50")),
    "flag without value": (["run", "a.lua", "--memory"], ("--memory", "expected one argument")),
    "misspelt flag": (["run", "a.lua", "--memroy", "1G"], ("--memroy", "'--memory'")),
    "abbreviated flag": (["run", "a.lua", "--mem", "1G"], ("unknown flag --mem",)),
    "one argument too many": (["run", "a.lua", "b.lua"], ("too many", "'b.lua'")),
    "unknown isolation": (["run", "a.lua", "--isolation", "off"], ("'off'", "degraded")),
    "quiet and verbose": (["run", "a.lua", "-q", "-v"], ("not allowed with",)),
    "not a variable": (["run", "a.lua", "--allow-env", "A=B"], ("--allow-env", "'A=B'")),
    "URL as domain": (["run", "a.lua", "--allow-domain", "https://a.b"], ("only its name",)),
    "folder that is not": (["run", "a.lua", "--allow-read", "none"], ("not a directory",)),
    "file as folder": (["run", "a.lua", "--allow-write", "a.lua"], ("not a directory",)),
    "parameter without =": (["run", "a.lua", "--param", "x"], ("'x'", "KEY=VALUE")),
    "parameter without name": (["run", "a.lua", "--param", "=1"], ("'=1'", "KEY=VALUE")),
    "parameter twice": (["run", "a.lua", "--param", "a=1", "--param", "a=2"], ("twice",)),
    "parameter that is no JSON": (["run", "a.lua", "--param", "a:=["], ("'a:=['", "KEY:=JSON")),
    "parameter too large": (
        ["run", "a.lua", "--param", "a:=99999999999999999999999"],
        ("parameter 'a'",),
    ),
    "parameters that are no map": (["run", "a.lua", "--params", "list.json"], ("a map",)),
    "parameters that are no JSON": (["run", "a.lua", "--params", "a.lua"], ("not valid JSON",)),
    "parameters with a date": (["run", "a.lua", "--params", "date.toml"], ("parameter 'd'",)),
    "parameters missing": (["run", "a.lua", "--params", "no.json"], ("no.json: no such file",)),
    "spell and parameters on stdin": (["run", "-", "--params", "-"], ("standard input",)),
    "config missing": (["run", "a.lua", "--config", "no.toml"], ("no.toml: no such file",)),
    "config with a misspelt key": (
        ["run", "a.lua", "--config", "misspelt.toml"],
        ("misspelt.toml:2", "policy.memroy", "did you mean 'memory'"),
    ),
    "config that is no TOML": (["run", "a.lua", "--config", "a.lua"], ("a.lua:1", "TOML")),
    "profile without config": (["run", "a.lua", "--profile", "x"], ("no profile 'x'", "init")),
    "flag outside the profile": (
        ["run", "a.lua", "--config", "ci.toml", "--profile", "ci", "--allow-env", "B"],
        ("--allow-env B", "profile 'ci'"),
    ),
    "a grant of a method that there is not": (
        ["run", "a.lua", "--allow-bridge", "llm.complet"],
        ("--allow-bridge llm.complet: there is no such method", "did you mean 'llm.complete'"),
    ),
    "a grant that is no name": (
        ["run", "a.lua", "--allow-bridge", "llm."],
        ("--allow-bridge", "'llm.' is not the name of a bridge or method"),
    ),
    "manifest that wants more": (
        ["run", "wants/a.lua"],
        ("needs environment variable LLM_MODEL", "--allow-env LLM_MODEL"),
    ),
    "manifest with a misspelt key": (
        ["run", "wrong/a.lua"],
        ("spell.toml:2", "limits.memroy", "'memory'"),
    ),
    "validate nothing": (["validate"], ("SPELL",)),
    "validate a missing file": (["validate", "none.lua"], ("none.lua: no such file",)),
    "an unknown model": (["model", "remove", "none"], ("none", "smollm2")),
    "a model that is not there": (["model", "remove"], ("not installed",)),
    "an unknown action": (["model", "instal"], ("'instal'", "install")),
    "an unknown shell": (["completion", "tcsh"], ("'tcsh'", "bash")),
    "init into a folder": (["init", "folder"], ("folder", "directory")),
    "init over a file": (["init", "ci.toml"], ("ci.toml is there already", "--force")),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.lua").mkdir()
    os.mkfifo(tmp_path / "pipe.lua")
    with (tmp_path / "large.lua").open("wb") as file:
        file.truncate(50 << 20)
    contents: dict[str, str | bytes] = {
        "a.lua": "return 1",
        "a.txt": "return 1",
        "a.lau": "return 1",
        "spell": "return 1",
        "empty.lua": "",
        "latin.lua": b"return\n'\xe9'",
        "nul.lua": b"return\0 1",
        "list.json": "[1]",
        "date.toml": "d = 2020-01-01",
        "misspelt.toml": "[policy]\nmemroy = '1G'\n",
        "ci.toml": "[profiles.ci]\nallow_env = ['A']\n",
        "wants/a.lua": "return 1",
        "wants/spell.toml": "[grants]\nallow_env = ['LLM_MODEL']\n",
        "wrong/a.lua": "return 1",
        "wrong/spell.toml": "[limits]\nmemroy = 1\n",
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("arguments", "wanted"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_that_names_it_and_exit_code_2(
    command: Command, arguments: list[str], wanted: tuple[str, ...]
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("llmspell-supervisor: error: ")
    for text in wanted:
        assert text in done.stderr


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("return 1", "--engine lua or --engine javascript"),
        (b"\xff\xfe", "invalid UTF-8"),
        ("", "no engine named"),
        ("-" * ((4 << 20) + 1), "4 MiB"),
    ],
    ids=["no engine", "UTF-16", "nothing", "too large"],
)
def test_standard_input_that_is_no_spell_is_refused(
    command: Command, source: str | bytes, wanted: str
) -> None:
    done = command("run", "-", stdin=source)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert wanted in done.stderr


def test_an_unreadable_file_is_named_with_the_remedy(ordinary_user: Any) -> None:
    path = ordinary_user.home / "secret.lua"
    path.write_text("return 1")
    path.chmod(0o000)
    done = ordinary_user.run([sys.executable, "-m", "llmspell_supervisor", "run", path])
    assert done.returncode == 2
    assert "permission denied" in done.stderr
    assert "chmod u+r" in done.stderr


def test_a_file_name_cannot_act_on_the_terminal(command: Command) -> None:
    done = command("run", "\x1b]52;c;eA==\x07\u202e.lua")
    assert done.stderr.rstrip("\n").isprintable()
    assert "\\x1b]52" in done.stderr


def test_with_json_the_error_is_a_document_too(command: Command) -> None:
    done = command("run", "none.lua", "--json")
    assert done.returncode == 2
    assert '"message": "none.lua: no such file"' in done.stdout
