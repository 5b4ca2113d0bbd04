"""`python -m llmspell_supervisor` is the command `llmspell-supervisor`."""

from __future__ import annotations

import gc
import os
import sys

from . import _launch
from .cli import main as command

TYPE_CHECKING = False  # as in `_launch`
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command and end the process.

    Without the interpreter's own end, which takes apart every module and lasts longer than a short
    spell. By now everything is closed; what is left to do is said here.
    """
    gc.disable()  # until everything is imported: there is next to no garbage yet
    code = command()
    _launch.discard()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            sys.exit(code)  # the interpreter's own end tells of it
    os._exit(code)


if __name__ == "__main__":
    main()
