"""`harness`: let every catalogued attack go against this host."""

from __future__ import annotations

import argparse
import importlib

from ._console import Console


def harness(arguments: argparse.Namespace) -> int:
    """Run the command `harness`: 0 when every attack was stopped, 1 when one was not."""
    # By name: the trusted core does not depend on what attacks it.
    command = importlib.import_module("llmspell_harness._command")
    code: int = command.run(arguments, Console())
    return code
