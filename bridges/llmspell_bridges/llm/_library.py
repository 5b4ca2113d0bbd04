"""litellm, imported late and kept quiet.

Its import takes two to five seconds, so it runs in a thread and only for a run that calls a model.
Left to itself it fetches a price list, reads a `.env`, prints banners and logs requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import warnings
from concurrent.futures import Future
from typing import Any, Final

_ENVIRONMENT: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_MODE": "PRODUCTION",  # anything else loads a .env from the working directory
}
"""No look-ups at import and none later; litellm reads some of these again while it works."""

_LOGGERS: Final = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "LiteLLM Proxy Stdout")

_lock = threading.Lock()
_import: Future[Any] | None = None


def prefetch() -> Future[Any]:
    """Begin the import, once per process. Returns at once; the result is the module."""
    global _import  # noqa: PLW0603 - a process has one litellm
    with _lock:
        if _import is None:
            _import = Future()
            # A daemon: a run that turns out to need no model must not wait for the import.
            threading.Thread(target=_load, args=(_import,), name="litellm", daemon=True).start()
        return _import


async def litellm() -> Any:
    """The module, when it is there. Raises what its import raised."""
    future = prefetch()
    return future.result() if future.done() else await asyncio.wrap_future(future)


async def close() -> None:
    """Close the connections that litellm keeps open, if it was ever imported."""
    if _import is None or not _import.done() or _import.exception() is not None:
        return
    module = _import.result()
    await module.close_litellm_async_clients()
    module.in_memory_llm_clients_cache.flush_cache()  # what is closed must not be used again


def _load(future: Future[Any]) -> None:
    future.set_running_or_notify_cancel()  # nobody who stops waiting may cancel it for the others
    try:
        os.environ.update(_ENVIRONMENT)
        # They warn users about their own types, from the import on, and about what servers answer.
        warnings.filterwarnings("ignore", module=r"(pydantic|litellm|openai)\b")
        import litellm as module

        _hush(module)
    except BaseException as error:  # noqa: BLE001 - whoever waits gets it
        future.set_exception(error)
    else:
        future.set_result(module)


def _hush(module: Any) -> None:
    module.suppress_debug_info = True
    module.set_verbose = False
    module.telemetry = False
    module.disable_hf_tokenizer_download = True  # counting tokens must not fetch a tokenizer
    module.DEFAULT_MAX_RETRIES = 0  # embeddings take `max_retries=0` for "not given" and use this
    for name in _LOGGERS:
        logging.getLogger(name).disabled = True  # at debug level they tell whole requests
    # What it has made for a call that is cancelled before it begins.
    warnings.filterwarnings("ignore", r"coroutine 'OpenAIChatCompletion\.\w+' was never awaited")
