"""Dispatch, and the guard around everything: a person never sees a Python traceback unasked."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Final

from .._errors import SupervisorError
from .._lean import lean_imports
from .._text import escape, escape_line
from .._verdict import EXIT_CODES, EXIT_USAGE
from ._arguments import PROGRAM, parse_plain
from ._console import Console, prepare_streams
from ._problems import show_error

_EXIT_INTERRUPTED: Final = EXIT_CODES["cancelled"]
_EXIT_INTERNAL: Final = EXIT_CODES["supervisor_error"]


def guarded(argv: Sequence[str]) -> int:
    """Run the command and turn whatever goes wrong into a line on stderr and an exit code."""
    prepare_streams()
    console = Console()
    try:
        return _dispatch(parse_plain(argv) or _parse(argv), console)
    except SupervisorError as error:
        console.err(show_error(error, PROGRAM))
        if "--json" in argv:
            console.document({"error": {"message": error.message, "hint": error.hint}})
        return EXIT_USAGE
    except KeyboardInterrupt:
        console.err(f"{PROGRAM}: interrupted")
        return _EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 the guard: whatever it is, one line
        _internal(error, console, verbose="--verbose" in argv or "-v" in argv)
        return _EXIT_INTERNAL


def _parse(argv: Sequence[str]) -> SimpleNamespace:
    from ._parser import parse

    return parse(argv)


def _dispatch(arguments: SimpleNamespace, console: Console) -> int:
    if arguments.version:
        console.out(_version())
        return 0
    # A module per command: importing the one that is needed is what keeps `run` fast.
    with lean_imports():
        module = importlib.import_module(f"{__package__}._{arguments.command}")
    code: int = getattr(module, arguments.command)(arguments)
    return code


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{PROGRAM} {version(PROGRAM)} (Python {sys.version.split()[0]})"
    except PackageNotFoundError:  # a source tree that is on the path but not installed
        return f"{PROGRAM}, not installed (Python {sys.version.split()[0]})"


def _internal(error: Exception, console: Console, *, verbose: bool) -> None:
    what = escape_line(f"{type(error).__name__}: {error}")
    console.err(f"{PROGRAM}: internal error: {what} (please report; --verbose shows the details)")
    if verbose:
        import traceback

        console.err(escape("".join(traceback.format_exception(error)).rstrip()))
