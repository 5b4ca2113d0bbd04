"""Commands of the test kit, which comes as an extra."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable

from .._errors import UsageError
from ._console import Console


def kit_command(name: str) -> Callable[[argparse.Namespace, Console], int]:
    """What the test kit has for the command `name`. Raises `UsageError` where it is not installed."""
    # By name: nothing that a run needs depends on the test kit.
    try:
        module = importlib.import_module(f"llmspell_testkit._command_{name}")
    except ImportError as error:
        missing = (error.name or "a library").partition(".")[0]
        raise UsageError(
            f"{name}: {missing} is not installed", "pip install 'llmspell-supervisor[testkit]'"
        ) from None
    run: Callable[[argparse.Namespace, Console], int] = module.run
    return run
