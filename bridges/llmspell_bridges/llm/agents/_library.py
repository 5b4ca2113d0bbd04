"""openai-agents, imported late and kept quiet. Its import takes a second, and litellm comes first."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Final

from ..._clock import off_the_clock
from ..._errors import BridgeError

_ENVIRONMENT: Final = {
    "OPENAI_AGENTS_DISABLE_TRACING": "1",  # it would send what agents do to OpenAI
    "OPENAI_AGENTS_DONT_LOG_MODEL_DATA": "1",
    "OPENAI_AGENTS_DONT_LOG_TOOL_DATA": "1",
}


async def load() -> None:
    """Wait until the library may be imported at once. Raises `BridgeError`."""
    from importlib.util import find_spec

    from .. import _library

    if find_spec("agents") is None:
        message = "openai-agents is not installed: pip install 'llmspell-supervisor[agents]'"
        raise BridgeError("Configuration", message)
    with off_the_clock():
        await _library.litellm()  # both import openai: one after the other
        await asyncio.to_thread(_load)


def _load() -> None:
    os.environ.update(_ENVIRONMENT)
    import agents

    agents.set_tracing_disabled(True)
    logging.getLogger("openai.agents").disabled = True
