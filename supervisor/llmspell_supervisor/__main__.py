"""`python -m llmspell_supervisor` is the command `llmspell-supervisor`."""

from __future__ import annotations

import os
import sys

from . import _launch
from .cli import main as command

TYPE_CHECKING = False  # as in `_launch`
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command and end the process.

    Without the interpreter's own end, which takes apart every module: 5 ms, and 20 once litellm is
    there. By now everything is closed; what is left to do is said here.
    """
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
