"""`test`: run the tests of spells."""

from __future__ import annotations

import argparse

from ._console import Console
from ._kit import kit_command


def test(arguments: argparse.Namespace) -> int:
    """Run the command `test`: 0 when no test failed, 1 when one did."""
    return kit_command("test")(arguments, Console())
