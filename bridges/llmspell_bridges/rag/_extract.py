"""The text of HTML and PDF: parsed in a process of its own, for hostile files make parsers spin.

Runs as a program (`python -I _extract.py FORMAT MAX_TEXT`): the document on its standard input, the
text on its standard output. It limits itself before it reads, opens no file afterwards but Python's
own modules, and is killed when nobody waits any more.
"""

from __future__ import annotations

import io
import resource
import sys
from typing import Final

MEMORY: Final = 1024**3
"""Bytes: a PDF of 50 MB takes a quarter of it."""

PROCESSOR: Final = 60
"""Seconds: the supervisor's own clock is shorter, unless the operator wants it longer."""

MISSING: Final = 3
"""Exit status when the library of a format is not installed."""


def main(kind: str, most: int) -> int:
    """Extract, and say how it went by the exit status."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = sys.stdin.buffer.read()
    try:
        text = _pdf(data, most) if kind == "pdf" else _html(data)
    except ImportError:
        return MISSING
    sys.stdout.buffer.write(text[:most].encode(errors="replace"))
    sys.stdout.buffer.flush()
    return 0


def _html(data: bytes) -> str:
    """Markdown: its headings and lists are where a splitter cuts."""
    import html2text

    reader = html2text.HTML2Text(bodywidth=0)
    reader.ignore_images = True
    reader.ignore_links = True
    return str(reader.handle(data.decode(errors="replace")))


def _pdf(data: bytes, most: int) -> str:
    import logging

    logging.disable()  # pypdf tells what it mends
    from pypdf import PdfReader

    pages: list[str] = []
    size = 0
    for page in PdfReader(io.BytesIO(data)).pages:
        pages.append(page.extract_text())
        size += len(pages[-1])
        if size >= most:
            break
    return "\n\n".join(pages)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
