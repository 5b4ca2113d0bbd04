"""`audit verify`: whether an audit log is as it was written."""

from __future__ import annotations

from string import hexdigits
from types import SimpleNamespace
from typing import Final

import msgspec

from .._audit import Broken, verify
from .._errors import UsageError
from .._text import escape_line
from .._verdict import EXIT_CODES
from ._arguments import PROGRAM
from ._console import Console

_HASH_LENGTH: Final = 64


def audit(arguments: SimpleNamespace) -> int:
    """Run the command `audit`: 0 for a log that is whole, 1 for one that is not.

    Raises `UsageError`, and `AuditError` for a file that cannot be read.
    """
    console = Console(json=arguments.json)
    holds = arguments.holds
    if holds is not None and not (len(holds) == _HASH_LENGTH and set(holds) <= set(hexdigits)):
        raise UsageError("--holds is not a hash", "one has 64 hexadecimal digits")
    try:
        found = verify(arguments.file, holds=holds)
    except Broken as error:
        console.err(f"{PROGRAM}: error: {error}")
        if arguments.json:
            console.document({"whole": False, "line": error.line, "reason": error.message})
        return EXIT_CODES["script_error"]
    if arguments.json:
        console.document({"whole": True, **msgspec.structs.asdict(found)})
        return 0
    still = f", {found.open_runs} of them without an end" if found.open_runs else ""
    console.out(f"{escape_line(arguments.file)}: whole")
    console.out(f"  {found.records} records of {found.runs} runs{still}")
    console.out(f"  last hash: {found.last}")
    return 0
