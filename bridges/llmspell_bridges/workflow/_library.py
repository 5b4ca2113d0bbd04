"""LangGraph and Jinja, imported late; LangGraph kept quiet."""

from __future__ import annotations

import os
from typing import Any, Final

from .._extras import imported

_ENVIRONMENT: Final = {
    "LANGSMITH_TRACING": "false",
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
}
"""It would send every input and output to a service on the net, if the operator's shell said so."""


async def engine() -> Any:
    """The module `_execution`, and with it LangGraph: half a second, in a thread.

    Raises `BridgeError` of kind `Configuration` when the extra is not installed.
    """
    os.environ.update(_ENVIRONMENT)
    found: list[Any] = await imported("workflows", f"{__package__}._execution")
    return found[0]


async def templates() -> None:
    """Have Jinja imported, in a thread, before `_template` uses it. Raises as `engine`."""
    await imported("workflows", "jinja2.sandbox")
