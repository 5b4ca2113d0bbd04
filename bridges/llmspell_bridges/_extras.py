"""Libraries of the package's extras: imported by the first call that needs them, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Iterator
from typing import Any, Final

from ._clock import off_the_clock
from ._errors import BridgeError

_one_at_a_time: Final = threading.Lock()
"""Held while something is imported. Two threads that import what needs each other are given modules that
are not complete, so that neither waits for ever; what then fails looks as if it were not installed."""

_complete: Final[set[str]] = set()
"""What has been imported to its end; `sys.modules` holds a module as soon as its import begins."""


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing library into the error that says which extra brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "a library").partition(".")[0]
        message = f"{missing} is not installed: pip install 'llmspell-supervisor[{name}]'"
        raise BridgeError("Configuration", message) from None


async def imported(name: str, *modules: str) -> list[Any]:
    """The `modules` of the extra `name`. Their first import is off the clock of the call.

    Raises `BridgeError` of kind `Configuration` when one is not installed.
    """
    with extra(name):
        if _complete.issuperset(modules):
            return [importlib.import_module(module) for module in modules]
        with off_the_clock():
            return await asyncio.to_thread(_import, modules)


def _import(modules: tuple[str, ...]) -> list[Any]:
    with _one_at_a_time:
        found = [importlib.import_module(module) for module in modules]
    _complete.update(modules)
    return found
