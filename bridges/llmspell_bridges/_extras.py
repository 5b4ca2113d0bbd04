"""Libraries of the package's extras: imported by the first call that needs them, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

from ._clock import off_the_clock
from ._errors import BridgeError


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing library into the error that says which extra brings it."""
    try:
        yield
    except ImportError as error:
        missing = (error.name or "a library").partition(".")[0]
        message = f"{missing} is not installed: pip install 'llmspell-supervisor[{name}]'"
        raise BridgeError("Configuration", message) from None


async def imported(name: str, *modules: str) -> list[Any]:
    """The `modules` of the extra `name`. Their first import is off the clock of the call.

    Raises `BridgeError` of kind `Configuration` when one is not installed.
    """
    with extra(name):
        if all(module in sys.modules for module in modules):
            return [importlib.import_module(module) for module in modules]
        with off_the_clock():
            return await asyncio.to_thread(lambda: [importlib.import_module(m) for m in modules])
