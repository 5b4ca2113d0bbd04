"""Why a spell finds no such bridge or method: most often because nobody granted it.

What is not granted is not bound, so that a script which uses it fails in its own language's words
(`attempt to index a nil value (global 'fs')`). Here the host, which knows what there is, adds which
flag would have given it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmspell_bridges import available, is_granted

from ._fields import flag_of
from ._text import snake_case

if TYPE_CHECKING:
    from llmspell_bridges import BridgeRegistry

    from ._report import Problem


def missing_grant(
    problem: Problem, source: str, grants: tuple[str, ...], registry: BridgeRegistry
) -> str:
    """A hint about what the line of `problem` uses and its policy does not give, or nothing."""
    lines = source.split("\n")
    if problem.line is None or not 1 <= problem.line <= len(lines):
        return ""
    words = set(re.findall(r"\w+", problem.message))
    line = lines[problem.line - 1]
    if "require" in words and "require" in line and not is_granted("library.require", grants):
        return f"no library is granted: run with {flag_of('libraries')} DIR"
    for bridge, written in re.findall(r"\b([a-z]\w*)\.(\w+)", line):
        if not {bridge, written} & words:
            continue
        method = f"{bridge}.{snake_case(written)}"
        if is_granted(method, grants):
            continue
        if registry.get(method) or (bridge not in registry.names and bridge in available()):
            return f"{method} is not granted: run with {flag_of('allow_bridges')} {method}"
    return ""
