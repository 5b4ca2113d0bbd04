"""A host with `fs` over one directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from tests.bridges.host import Host


def host_of(folder: Path, *, settings: Any = None, **policy: Any) -> Host:
    """A host whose spell may read and write `folder`, unless `policy` says other."""
    granted = {"allow_read": (str(folder),), "allow_write": (str(folder),), **policy}
    return Host(load("fs", settings), **granted)


def do(folder: Path, method: str, *args: Any, settings: Any = None, **policy: Any) -> Any:
    """One call of one run."""
    host = host_of(folder, settings=settings, **policy)
    return host.run(lambda: host.call(f"fs.{method}", *args))


def refusal(
    folder: Path, method: str, *args: Any, settings: Any = None, **policy: Any
) -> BridgeError:
    """One call of one run that must not go well."""
    with pytest.raises(BridgeError) as caught:
        do(folder, method, *args, settings=settings, **policy)
    return caught.value
