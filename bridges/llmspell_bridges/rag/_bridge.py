"""The bridge `rag`: reads documents, keeps their passages as vectors, answers from them."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, ClassVar, Final

from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, BridgeRegistry, method
from .._threads import Threads
from ..vector import Collections, Condition, Item, Search, check_collection
from . import _files, _reading
from ._answering import answer
from ._config import RagConfig
from ._types import (
    Answer,
    Document,
    Folder,
    Ingested,
    IngestedFolder,
    Passage,
    Question,
    Skipped,
)

BATCH: Final = 64
"""Passages embedded and kept at a time: a call that is given up loses no more."""

RESERVED: Final = ("source", "chunk")
"""Keys of metadata that are ours."""


class RagBridge(Bridge):
    """Documents: taken in, cut into passages, found by a question, and answered from."""

    name: ClassVar[str] = "rag"
    config: ClassVar[type[BridgeConfig]] = RagConfig

    def __init__(self, config: RagConfig) -> None:
        self._config = config
        self._collections = Collections(config, self.name)
        self._threads = Threads()
        self._registry: BridgeRegistry | None = None

    def join(self, registry: BridgeRegistry) -> None:
        """Answers, and vectors where the config says so, are made by `llm`."""
        self._registry = registry
        self._collections.join(registry)

    async def close(self) -> None:
        """Close the connection to a server."""
        await asyncio.to_thread(self._collections.close)

    @method(effect="write")
    async def ingest(self, ctx: CallContext, collection: str, document: str | Document) -> Ingested:
        """Take a document in; one of the same source is replaced. A plain string is its text."""
        name = check_collection(ctx, collection)
        if isinstance(document, str):
            document = Document(text=document)
        data, source = await self._read(ctx, document)
        if document.path is not None:
            ctx.touch(read=document.path)
        if len(data) > self._config.max_document:
            message = f"{len(data)} bytes; the limit is {self._config.max_document} (max_document)"
            raise BridgeError("Limit", message)
        return await self._take_in(ctx, name, data, source, document)

    @method(effect="write")
    async def ingest_folder(
        self, ctx: CallContext, collection: str, folder: str | Folder
    ) -> IngestedFolder:
        """Take the files of a folder in: text, Markdown, HTML and PDF, by their suffixes."""
        name = check_collection(ctx, collection)
        if isinstance(folder, str):
            folder = Folder(path=folder)
        chosen, roots, most = folder, ctx.policy.allow_read, self._config.max_files
        files = await self._threads.run(
            lambda job: _files.walk(job, roots, chosen.path, chosen.pattern, most)
        )
        ctx.touch(read=folder.path)
        documents: list[Ingested] = []
        skipped: list[Skipped] = []
        for below, size in files:
            try:
                if _reading.format_of(below) is None:
                    raise BridgeError("Validation", "its suffix tells no format that is known")
                if size > self._config.max_document:
                    raise BridgeError("Limit", f"{size} bytes (max_document)")
                document = Document(
                    path=f"{folder.path}/{below}", source=below, metadata=folder.metadata
                )
                data, source = await self._read(ctx, document)
                documents.append(await self._take_in(ctx, name, data, source, document))
            except BridgeError as error:
                if error.kind not in ("Validation", "Limit", "Policy"):
                    raise  # it is not about this file
                skipped.append(Skipped(source=below, reason=error.message))
        return IngestedFolder(documents=documents, skipped=skipped)

    @method(effect="varies")
    async def retrieve(
        self, ctx: CallContext, collection: str, question: str | Question
    ) -> list[Passage]:
        """The passages that are most like a question."""
        name = check_collection(ctx, collection)
        return await self._retrieve(ctx, name, _asked(question))

    @method(effect="spend")
    async def answer(self, ctx: CallContext, collection: str, question: str | Question) -> Answer:
        """What a model says to a question, from the passages that are most like it."""
        name = check_collection(ctx, collection)
        asked = _asked(question)
        found = await self._retrieve(ctx, name, asked)
        if not found:
            message = f"collection: nothing to answer from in {name}; take something in first"
            raise BridgeError("Validation", message, field="collection")
        return await answer(ctx, self._registry, asked, found)

    @method(effect="write")
    async def remove(self, ctx: CallContext, collection: str, source: str) -> int:
        """Forget a document; how many passages it had."""
        name = check_collection(ctx, collection)
        wanted = [Condition("source", "eq", source)]
        return await self._collections.work(ctx, lambda store: store.delete_where(name, wanted))

    async def _read(self, ctx: CallContext, document: Document) -> tuple[bytes, str]:
        """The bytes of a document, and what it is called."""
        given = [n for n in ("text", "data", "path") if getattr(document, n) is not None]
        if len(given) != 1:
            raise BridgeError("Validation", "document: give one of text, data and path")
        if document.path is not None:
            path, roots, most = document.path, ctx.policy.allow_read, self._config.max_document
            data = await self._threads.run(lambda _: _files.read(roots, path, most))
            return data, document.source or path
        if document.text is not None:
            data = document.text.encode()
        elif isinstance(document.data, (bytes, str)):
            data = document.data if isinstance(document.data, bytes) else document.data.encode()
        else:
            raise BridgeError("Validation", "data: expected bytes", field="data")
        return data, document.source or f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"

    async def _take_in(
        self, ctx: CallContext, name: str, data: bytes, source: str, document: Document
    ) -> Ingested:
        for key in RESERVED:
            if key in document.metadata:
                field = f"metadata.{key}"
                raise BridgeError("Validation", f"{field} is set by rag itself", field=field)
        named = document.source or document.path or ""
        kind = document.format or _reading.format_of(named) or "text"
        text = await _reading.text_of(data, kind, self._config)
        found = await _reading.passages(text, kind, self._config, self._threads)
        if not found:
            raise BridgeError("Validation", f"document: there is no text in {source}")
        identity = hashlib.sha256(source.encode(errors="replace")).hexdigest()[:32]
        items = [
            Item(
                id=f"{identity}-{number}",
                text=passage,
                metadata={**document.metadata, "source": source, "chunk": number},
            )
            for number, passage in enumerate(found)
        ]
        for begin in range(0, len(items), BATCH):
            await self._collections.upsert(ctx, name, items[begin : begin + BATCH])
        rest = [Condition("source", "eq", source), Condition("chunk", "gte", len(items))]
        await self._collections.work(ctx, lambda store: store.delete_where(name, rest))
        return Ingested(source=source, chunks=len(items))

    async def _retrieve(self, ctx: CallContext, name: str, asked: Question) -> list[Passage]:
        search = Search(
            text=asked.question, limit=asked.limit, filter=asked.filter, hybrid=asked.hybrid
        )
        found = await self._collections.search(ctx, name, search)
        return [_passage(match.text or "", match.score, match.metadata) for match in found]


def _asked(question: str | Question) -> Question:
    if isinstance(question, Question):
        return question
    if not question:
        raise BridgeError("Validation", "question: it is empty", field="question")
    return Question(question=question)


def _passage(text: str, score: float, metadata: dict[str, Any]) -> Passage:
    own = {key: value for key, value in metadata.items() if key not in RESERVED}
    return Passage(
        text=text,
        score=score,
        source=metadata["source"],
        chunk=int(metadata["chunk"]),
        metadata=own,
    )
