"""`record`: run a spell, and keep the run in a file."""

from __future__ import annotations

import argparse

from ._console import Console
from ._kit import kit_command


def record(arguments: argparse.Namespace) -> int:
    """Run the command `record`: the exit code of the run."""
    return kit_command("record")(arguments, Console())
