"""From bytes of some format to text, and from text to passages."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Final

from .._errors import BridgeError
from .._extras import imported
from .._threads import Job, Threads
from . import _extract
from ._config import RagConfig
from ._types import Format

SUFFIXES: Final[dict[str, Format]] = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
}

MAX_PASSAGES: Final = 10_000
"""Passages of one document: each takes the local model some 10 ms."""


def format_of(name: str) -> Format | None:
    """The format that a name's suffix tells."""
    return SUFFIXES.get(os.path.splitext(name)[1].lower())


async def text_of(data: bytes, kind: Format, config: RagConfig) -> str:
    """The text of a document. Raises `BridgeError` that names the field `data`."""
    if kind in ("html", "pdf"):
        data = await _extracted(data, kind, config.max_document)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BridgeError("Validation", f"data: not UTF-8, so no {kind}", field="data") from None


async def passages(text: str, kind: Format, config: RagConfig, threads: Threads) -> list[str]:
    """The text in passages, cut where paragraphs, headings or sentences end."""
    (splitters,) = await imported("data", "langchain_text_splitters")
    overlap = min(config.chunk_overlap, config.chunk_size // 2)
    # HTML has become Markdown.
    named = "RecursiveCharacterTextSplitter" if kind in ("text", "pdf") else "MarkdownTextSplitter"
    splitter = getattr(splitters, named)(chunk_size=config.chunk_size, chunk_overlap=overlap)

    def split(_: Job) -> list[str]:
        return list(splitter.split_text(text))

    found = await threads.run(split)
    if len(found) > MAX_PASSAGES:
        message = f"{len(found)} passages; the limit is {MAX_PASSAGES}: give it in parts"
        raise BridgeError("Limit", message)
    return found


async def _extracted(data: bytes, kind: Format, most: int) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        _extract.__file__,
        kind,
        str(most),
        env={},  # no secret of ours
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        text, _ = await process.communicate(data)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode == _extract.MISSING:
        message = "HTML and PDF are not installed: pip install 'llmspell-supervisor[data]'"
        raise BridgeError("Configuration", message)
    if process.returncode != 0:
        raise BridgeError("Validation", f"data: cannot be read as {kind}", field="data")
    return text
