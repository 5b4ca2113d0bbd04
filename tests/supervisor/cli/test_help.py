"""What `--help` says, and that the README shows the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_supervisor._fields import flag_of
from llmspell_supervisor._policy import FIELDS
from llmspell_supervisor._verdict import EXIT_CODES
from llmspell_supervisor.cli._arguments import flag_values
from llmspell_supervisor.cli._parser import COMMANDS, build, parse
from tests.support.command import Command

README = Path(__file__).parents[3] / "supervisor" / "README.md"
TESTING = Path(__file__).parents[3] / "docs" / "testing.md"

TOP = """\
usage: llmspell-supervisor [-h] [--version] COMMAND ...

Run Lua and JavaScript spells, each in a locked process of its own.

options:
  -h, --help  show this help message and exit
  --version   print the version and exit

commands:
  run         run a spell
  test        run the tests of spells
  record      run a spell, and keep what it was answered in a file
  replay      run a recorded spell again, answered from its file
  validate    check spells without running them
  info        show engines, bridges, a method, or what a spell says about itself
  audit       check that an audit log is whole
  doctor      show which layers of containment this machine offers
  harness     attack this machine's containment, and show what stops each attack
  init        write a config file with every setting explained
  model       list, install or remove local models
  completion  print a shell completion script

llmspell-supervisor COMMAND --help explains a command.
"""

HELP = {
    ("--help",): TOP,
    ("validate", "--help"): """\
usage: llmspell-supervisor validate [-h] [--engine NAME] [--isolation {strict,degraded}] [--json]
                                    SPELL [SPELL ...]

Check spells without running them.

positional arguments:
  SPELL                     a file, or - for stdin

options:
  -h, --help                show this help message and exit
  --engine NAME             lua, javascript, ... (default: by the file's suffix)
  --isolation {strict,degraded}
                            strict refuses to run when a layer is missing; degraded runs without
                            (default: strict)
  --json                    one JSON list on stdout
""",
    ("info", "--help"): """\
usage: llmspell-supervisor info [-h] [--json] [TOPIC]

Show engines, bridges, a method, or what a spell says about itself.

positional arguments:
  TOPIC       engines, bridges, a bridge (llm), a method (llm.complete) or a spell's file; default:
              an overview

options:
  -h, --help  show this help message and exit
  --json      the same as JSON
""",
    ("audit", "--help"): """\
usage: llmspell-supervisor audit [-h] ACTION ...

Check that an audit log is whole.

options:
  -h, --help  show this help message and exit

actions:
  verify      name the first line that is not as it was written
""",
    ("doctor", "--help"): """\
usage: llmspell-supervisor doctor [-h] [--json]

Show which layers of containment this machine offers.

options:
  -h, --help  show this help message and exit
  --json      the same as JSON
""",
    ("harness", "--help"): """\
usage: llmspell-supervisor harness [options] [ID ...]

Attack this machine's containment, and show what stops each attack.

positional arguments:
  ID                        attacks, such as O12 (default: all)

options:
  -h, --help                show this help message and exit
  --engine NAME             lua or javascript: attack its workers only
  --class CLASS             attacks of one class only: lua, javascript, os, protocol, bridges
  --quick                   against every layer only, not each wall alone
  --ablate                  try each again without each layer: takes minutes
  --output FILE             write the report as JSON to a file too
  --json                    the report as JSON on stdout
  --isolation {strict,degraded}
                            strict refuses to run when a layer is missing; degraded runs without
                            (default: strict)
""",
    ("init", "--help"): """\
usage: llmspell-supervisor init [-h] [--force] [PATH]

Write a config file with every setting explained.

positional arguments:
  PATH        where (default: ~/.config/llmspell-supervisor/config.toml)

options:
  -h, --help  show this help message and exit
  --force     overwrite a file that is there
""",
    ("model", "--help"): """\
usage: llmspell-supervisor model [-h] ACTION ...

List, install or remove local models.

options:
  -h, --help  show this help message and exit

actions:
  list        the local models, and which are installed
  install     fetch a model
  remove      delete a model
""",
    ("completion", "--help"): """\
usage: llmspell-supervisor completion [-h] SHELL

Print a shell completion script.

positional arguments:
  SHELL       bash or zsh

options:
  -h, --help  show this help message and exit
""",
}


@pytest.mark.parametrize(("arguments", "text"), HELP.items(), ids=[" ".join(k) for k in HELP])
def test_help_reads_so(command: Command, arguments: tuple[str, ...], text: str) -> None:
    done = command(*arguments)
    # Python 3.13 sets the column of the options two further to the right.
    assert [line.split() for line in done.stdout.split("\n")] == [
        line.split() for line in text.split("\n")
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_shows_the_help_of_run_as_it_is(command: Command) -> None:
    shown = command("run", "--help").stdout
    assert shown in README.read_text()


@pytest.mark.parametrize("name", ["test", "record", "replay"])
def test_the_page_about_testing_shows_the_help_as_it_is(command: Command, name: str) -> None:
    shown, policy, rest = command(name, "--help").stdout.partition("\nlimits:")
    assert f"```\n{shown}```\n" in TESTING.read_text()
    assert policy + rest.partition("Exit codes")[0] in command("run", "--help").stdout


def test_the_readme_lists_every_exit_code() -> None:
    text = README.read_text()
    for verdict, code in EXIT_CODES.items():
        assert f"| {code} | `{verdict}` |" in text


def test_every_field_of_a_policy_has_a_flag() -> None:
    wanted = {flag_of(field) for field in FIELDS} - {"--require-tls"} | {"--no-require-tls"}
    assert wanted <= _run_flags()


def _run_flags() -> set[str]:
    [commands] = [a for a in build("run")._actions if a.dest == "command"]
    assert isinstance(commands.choices, dict)
    return {flag for action in commands.choices["run"]._actions for flag in action.option_strings}


def test_flags_become_fields_of_the_policy_and_only_those_that_were_given() -> None:
    arguments = parse(
        ["run", "a.lua", "--memory", "1G", "--allow-env", "A", "--allow-env", "B", "--jit"]
    )
    assert flag_values(arguments) == {"memory": 1 << 30, "allow_env": ("A", "B"), "jit": True}


_ELSEWHERE = {"run", "test", "record", "replay"}


def test_the_help_of_every_command_is_held_here_or_in_the_readme() -> None:
    assert {key[0] for key in HELP if len(key) == 2} | _ELSEWHERE == set(COMMANDS)


def test_version_names_the_program(command: Command) -> None:
    assert command("--version").stdout.startswith("llmspell-supervisor")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_flags(command: Command, shell: str) -> None:
    pytest.importorskip("shtab")
    done = command("completion", shell)
    assert done.returncode == 0
    for word in ("validate", "--max-output", "--allow-env"):
        assert word in done.stdout
