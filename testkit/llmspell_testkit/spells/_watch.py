"""Which changes of files are worth another run of the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from llmspell_supervisor import UsageError

from ._trial import shown_path

SUFFIXES: Final = (".lua", ".js", ".mjs", ".toml", ".json")


def watched(paths: Sequence[str]) -> Iterator[list[str]]:
    """The files that changed, each time that some did, below `paths` and the current folder.

    Raises `UsageError` where the library for it is not installed.
    """
    try:
        import watchfiles
    except ImportError:
        raise UsageError(
            "--watch: watchfiles is not installed", "pip install 'llmspell-supervisor[testkit]'"
        ) from None

    def wanted(_: watchfiles.Change, path: str) -> bool:
        return path.endswith(SUFFIXES)

    folders = {os.path.abspath(p if os.path.isdir(p) else os.path.dirname(p) or ".") for p in paths}
    found = watchfiles.watch(*sorted(folders), watch_filter=wanted, raise_interrupt=True)
    return (sorted({shown_path(path) for _, path in changes}) for changes in found)
