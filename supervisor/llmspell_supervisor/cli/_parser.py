"""Every command and flag. The flags of a policy are derived from `Policy` itself."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final, NoReturn

from .._errors import UsageError
from .._fields import check_field, flag_of
from .._policy import FIELDS, GRANTS, LIMITS, META
from .._text import escape_line, nearest
from .._units import write_units
from .._verdict import EXIT_CODES
from ._arguments import POLICY_PREFIX, PROGRAM

_METAVARS: Final = {"bytes": "SIZE", "seconds": "TIME", "dollars": "USD", "count": "N"}
_ITEMS: Final = {
    "allow_env": "NAME",
    "allow_domain": "HOST",
    "allow_read": "DIR",
    "allow_write": "DIR",
    "libraries": "DIR",
    "allow_bridges": "BRIDGE",
    "allow_models": "MODEL",
}

COMMANDS: Final = {
    "run": "run a spell",
    "test": "run the tests of spells",
    "record": "run a spell, and keep what it was answered in a file",
    "replay": "run a recorded spell again, answered from its file",
    "validate": "check spells without running them",
    "info": "show engines, bridges, a method, or what a spell says about itself",
    "audit": "check that an audit log is whole",
    "doctor": "show which layers of containment this machine offers",
    "harness": "attack this machine's containment, and show what stops each attack",
    "init": "write a config file with every setting explained",
    "model": "list, install or remove local models",
    "completion": "print a shell completion script",
}

_RUN_EPILOG: Final = """\
Sizes: 256M, 1.5G, 64KiB. Times: 5s, 300ms, 2m, 1h. Flags that grant are repeated to grant more.
The config file is --config FILE, else $LLMSPELL_CONFIG, else
~/.config/llmspell-supervisor/config.toml. It is a ceiling: flags stay within it.

"""

_EXIT_CODES: Final = (
    "Exit codes: {}; 2 when nothing was run because a flag, a file or the spell is wrong; "
    "130 and 143 after Ctrl-C and SIGTERM."
)
_WIDTH: Final = 100
"""Columns of help at most: longer lines are hard to read."""


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line that name the flag, and no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", _Formatter)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`; argparse would print its usage and exit."""
        text = message.removeprefix("argument ")
        raise UsageError(escape_line(text), f"see {self.prog} --help")


class _SpellHelp(argparse.Action):
    """`--help` behind a spell explains the spell, if its manifest says something."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: Any,
        values: object,  # noqa: ARG002 - of every action
        option_string: str | None = None,  # noqa: ARG002 - likewise
    ) -> None:
        spell = getattr(namespace, "spell", None)
        if spell and spell != "-":
            from .._manifest import find_manifest
            from ._about import spell_help

            if find_manifest(spell) is not None:
                sys.stdout.write(spell_help(spell))
                parser.exit()
        parser.print_help()
        parser.exit()


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse's, with a table of commands whose columns line up.

    argparse makes one for every argument that is added, and without a width imports `shutil` to
    learn it, which costs a run more than all the rest of parsing.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_width())

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # As CPython 3.13 has it, on every version: the value once, after the last name.
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        return "".join(f"  {c.dest:<12}{c.help}\n" for c in action._choices_actions)


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return min(int(columns), _WIDTH)
    try:
        return min(os.get_terminal_size(1).columns or _WIDTH, _WIDTH)
    except OSError:  # not a terminal
        return _WIDTH


def parse(argv: Sequence[str]) -> SimpleNamespace:
    """The parsed arguments; `command` names the command. Raises `UsageError`."""
    command = argv[0] if argv and argv[0] in COMMANDS else None
    if argv and command is None and not argv[0].startswith("-"):
        raise _no_command(argv[0])
    parser = build(command)
    known, unknown = parser.parse_known_args(argv, SimpleNamespace())
    if unknown:
        raise _unknown(parser, unknown[0], command)
    if known.command is None and not known.version:
        parser.error("say which COMMAND")
    return known


def build(only: str | None = None) -> Parser:
    """The parser of all commands, or of one: building the others costs start-up time."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [-h] [--version] COMMAND ...",
        description="Run Lua and JavaScript spells, each in a locked process of its own.",
        epilog=f"{PROGRAM} COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog=PROGRAM
    )
    for name in [only] if only else COMMANDS:
        text = COMMANDS[name]
        made = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            prog=f"{PROGRAM} {name}",
            add_help=name != "run",
        )
        _ADD[name](made)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    codes = ", ".join(f"{code} {verdict}" for verdict, code in EXIT_CODES.items() if code != 130)
    parser.usage = "%(prog)s [options] SPELL"
    parser.epilog = _RUN_EPILOG + _fill(_EXIT_CODES.format(codes), 80)
    parser.add_argument("spell", metavar="SPELL", help="a file, or - for standard input")
    parser.add_argument(
        "-h",
        "--help",
        action=_SpellHelp,
        default=argparse.SUPPRESS,
        nargs=0,
        help="show this help message, or behind SPELL that of the spell, and exit",
    )
    _add_input(parser)
    _add_output(parser)
    _add_trial(parser)
    _add_limits(parser)
    _add_grants(parser)


def _fill(text: str, width: int) -> str:
    """`text` in lines of at most `width`; the library's `textwrap` costs a run 3 ms."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _add_input(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the spell and its input")
    group.add_argument(
        "--param",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a parameter as text; KEY:=JSON gives any other type; repeatable",
    )
    group.add_argument(
        "--params", metavar="FILE", help="parameters from a JSON or .toml file; - reads JSON"
    )
    group.add_argument("--model", metavar="MODEL", help="the model that answers, whatever is asked")
    _add_engine(group)
    _add_config(group)


def _add_engine(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--engine", metavar="NAME", help="lua, javascript, ... (default: by the file's suffix)"
    )


def _add_config(group: argparse._ActionsContainer) -> None:
    group.add_argument("--config", metavar="FILE", help="the config file to use")
    group.add_argument("--profile", metavar="NAME", help="a [profiles.NAME] of the config file")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", action="store_true", help="one JSON report on stdout, all else on stderr"
    )
    group.add_argument(
        "--audit", metavar="FILE", help="append a record of each call to an audit log"
    )
    volume = group.add_mutually_exclusive_group()
    volume.add_argument(
        "-q", "--quiet", action="store_true", help="only the returned value and errors"
    )
    volume.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="console.debug too; then usage, layers and where the policy came from",
    )


def _add_trial(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trying a spell")
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="read, but list what would be written, sent or spent instead of doing it",
    )
    group.add_argument(
        "--learn",
        metavar="FILE",
        help="write the least manifest that the run needed; - is standard output",
    )
    group.add_argument("--force", action="store_true", help="let --learn overwrite a file")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    for name, unit in LIMITS.items():
        default = write_units(FIELDS[name].default, unit)
        group.add_argument(
            flag_of(name),
            dest=POLICY_PREFIX + name,
            metavar=_METAVARS[unit],
            type=_checked(name),
            help=f"{META[name].description} (default: {default})",
        )


def _add_grants(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("grants and containment")
    for name in GRANTS:
        default = ", ".join(FIELDS[name].default) or "none"
        group.add_argument(
            flag_of(name),
            dest=POLICY_PREFIX + name,
            metavar=_ITEMS[name],
            action="append",
            type=_checked(name),
            help=f"{_singular(META[name].description or '')} (default: {default})",
        )
    group.add_argument(
        "--no-require-tls",
        dest=POLICY_PREFIX + "require_tls",
        action="store_false",
        default=None,
        help="allow plain HTTP to hosts that the spell may reach",
    )
    group.add_argument(
        "--jit",
        dest=POLICY_PREFIX + "jit",
        action="store_true",
        default=None,
        help=META["jit"].description,
    )
    _add_isolation(group)


def _add_isolation(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--isolation",
        dest=POLICY_PREFIX + "isolation",
        choices=("strict", "degraded"),
        help=f"{META['isolation'].description} (default: strict)",
    )


def _singular(text: str) -> str:
    """A schema speaks of all items, a flag names one."""
    words = {"variables": "variable", "directories": "directory", "hosts": "host",
             "bridges": "bridge", "methods": "method", "models": "model", "models;": "model;"}  # fmt: skip
    return " ".join(words.get(word, word) for word in text.split())


def _checked(field: str) -> Callable[[str], Any]:
    """What reads the flag of `field`; of a grant, whose flag is repeated, one item."""

    def convert(text: str) -> Any:
        try:
            if field in GRANTS:
                return check_field(field, [text], base=os.getcwd())[0]
            return check_field(field, text, base=os.getcwd())
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spells", metavar="SPELL", nargs="+", help="a file, or - for stdin")
    _add_engine(parser)
    _add_isolation(parser)
    parser.add_argument("--json", action="store_true", help="one JSON list on stdout")


def _add_test(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] PATH ..."
    parser.epilog = (
        "Exit codes: 0 all passed, 1 a test failed, 2 nothing was run because a flag or a path is"
        " wrong."
    )
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a *.test.lua, .js or .toml, or a folder of them"
    )
    parser.add_argument(
        "-k", dest="wanted", metavar="TEXT", help="only tests that have TEXT in their name"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each test")
    parser.add_argument("--update", action="store_true", help="keep snapshots as values are now")
    parser.add_argument(
        "--coverage", action="store_true", help="show which lines of spells in Lua were run"
    )
    parser.add_argument("--junit", metavar="FILE", help="write a report in JUnit's XML as well")
    parser.add_argument("--watch", action="store_true", help="run again whenever a file changes")
    _add_config(parser)
    _add_limits(parser)
    _add_grants(parser)


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] -o FILE SPELL"
    parser.set_defaults(dry_run=False, learn=None, audit=None)
    parser.add_argument("spell", metavar="SPELL", help="a file, or - for standard input")
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the recording, such as run.json"
    )
    parser.add_argument(
        "--test", action="store_true", help="write a *.test.toml beside it that replays it"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    _add_input(parser)
    _add_limits(parser)
    _add_grants(parser)


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit codes: 0 all is as it was recorded, 1 something differs."
    parser.add_argument("recording", metavar="FILE", help="what record wrote")
    parser.add_argument(
        "--spell", metavar="SPELL", help="the spell as it is now (default: as it was recorded)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show its console too")
    _add_isolation(parser)


def _add_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "topic",
        metavar="TOPIC",
        nargs="?",
        help="engines, bridges, a bridge (llm), a method (llm.complete) or a spell's file; default:"
        " an overview",
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def _add_harness(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] [ID ...]"
    parser.add_argument("ids", metavar="ID", nargs="*", help="attacks, such as O12 (default: all)")
    parser.add_argument(
        "--engine",
        metavar="NAME",
        choices=("lua", "javascript"),
        help="lua or javascript: attack its workers only",
    )
    parser.add_argument(
        "--class",
        dest="aim",
        metavar="CLASS",
        choices=("lua", "javascript", "os", "protocol", "bridges"),
        help="attacks of one class only: lua, javascript, os, protocol, bridges",
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--quick", action="store_true", help="against every layer only, not each wall alone"
    )
    extent.add_argument(
        "--ablate", action="store_true", help="try each again without each layer: takes minutes"
    )
    parser.add_argument("--output", metavar="FILE", help="write the report as JSON to a file too")
    parser.add_argument("--json", action="store_true", help="the report as JSON on stdout")
    _add_isolation(parser)


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="where (default: ~/.config/llmspell-supervisor/config.toml)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")


def _add_model(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    listing = actions.add_parser("list", help="the local models, and which are installed")
    listing.add_argument("--json", action="store_true", help="the same as JSON")
    for name, text in (("install", "fetch a model"), ("remove", "delete a model")):
        made = actions.add_parser(name, help=text)
        made.add_argument("name", metavar="NAME", nargs="?", help="default: the default model")


def _add_audit(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    verify = actions.add_parser("verify", help="name the first line that is not as it was written")
    verify.add_argument("file", metavar="FILE", help="the log")
    verify.add_argument(
        "--holds", metavar="HASH", help="the last hash of an earlier check, which must be in it"
    )
    verify.add_argument("--json", action="store_true", help="the same as JSON")


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh"), help="bash or zsh")


_ADD: Final[dict[str, Callable[[argparse.ArgumentParser], None]]] = {
    "run": _add_run,
    "test": _add_test,
    "record": _add_record,
    "replay": _add_replay,
    "validate": _add_validate,
    "info": _add_info,
    "audit": _add_audit,
    "doctor": _add_doctor,
    "harness": _add_harness,
    "init": _add_init,
    "model": _add_model,
    "completion": _add_completion,
}


def _no_command(word: str) -> UsageError:
    shown = escape_line(word)
    if os.path.isfile(word):
        return UsageError(f"no command '{shown}'", f"did you mean {PROGRAM} run {shown}")
    near = nearest(shown, tuple(COMMANDS))
    return UsageError(f"no command '{shown}'{near}", f"there are: {', '.join(COMMANDS)}")


def _unknown(parser: Parser, argument: str, command: str | None) -> UsageError:
    flag = argument.partition("=")[0]
    shown = escape_line(flag)
    hint = f"see {PROGRAM} {command or ''} --help".replace("  ", " ")
    if not flag.startswith("-"):
        return UsageError(f"one argument too many: '{shown}'", hint)
    return UsageError(f"unknown flag {shown}{nearest(shown, _flags(parser))}", hint)


def _flags(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """Every option of `parser` and of its commands."""
    found: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found += _flags(inner)
        found += action.option_strings
    return tuple(found)
