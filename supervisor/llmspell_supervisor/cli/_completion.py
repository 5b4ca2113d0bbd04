"""`completion`: a script that teaches a shell the commands and flags."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Final

from .._errors import UsageError
from ._console import Console
from ._parser import build

_FILES: Final = ("SPELL", "FILE", "PATH")


def completion(arguments: SimpleNamespace) -> int:
    """Run the command `completion`. Raises `UsageError` where shtab is not installed."""
    try:
        import shtab
    except ImportError:
        raise UsageError(
            "completion needs the package shtab", "pip install 'llmspell-supervisor[completion]'"
        ) from None
    parser = build()
    _name_files(parser, shtab.FILE, shtab.DIRECTORY)
    Console().out(shtab.complete(parser, arguments.shell))
    return 0


def _name_files(
    parser: argparse.ArgumentParser, file: Mapping[str, object], directory: Mapping[str, object]
) -> None:
    """Tell shtab, which reads an attribute of each action, where files and folders go."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _name_files(inner, file, directory)
        elif action.metavar in _FILES:
            action.complete = file  # type: ignore[attr-defined]
        elif action.metavar == "DIR":
            action.complete = directory  # type: ignore[attr-defined]
