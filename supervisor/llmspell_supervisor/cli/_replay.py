"""`replay`: run a recorded spell again."""

from __future__ import annotations

import argparse

from ._console import Console
from ._kit import kit_command


def replay(arguments: argparse.Namespace) -> int:
    """Run the command `replay`: 0 if all is as it was recorded, else 1."""
    return kit_command("replay")(arguments, Console())
