"""The process in which hostile input is parsed: a page, a PDF, an image, an expression.

Started by `_process.py` for one job and killed when it takes too long. Reads the job from standard
input and writes what came of it to standard output. It holds no key and no environment, and may
write no file; the kernel bounds its memory and its time.
"""

from __future__ import annotations

import csv
import difflib
import io
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

MAX_MEMORY: Final = 1 << 30
"""Bytes of address space: four times what the largest of the libraries takes for itself."""

MAX_PAGES: Final = 500
"""Of a PDF, for one call: a book. Spells ask for the rest by `first`."""

IMAGE_FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "ICO")
"""Those whose headers Pillow reads in Python. For WebP and AVIF it starts their native decoders."""


class CannotParse(Exception):
    """The input is not what it should be; the text is for the script."""


def calculator(expression: str) -> float | int | bool:
    """The value of an arithmetic expression."""
    import math

    import simpleeval  # type: ignore[import-untyped]

    functions = {**_FUNCTIONS, **{name: getattr(math, name) for name in _MATH}}
    evaluator = simpleeval.SimpleEval(functions=functions, names={"e": math.e, "pi": math.pi})
    try:
        value = evaluator.eval(expression)
    except (simpleeval.InvalidExpression, SyntaxError) as error:
        raise CannotParse(f"cannot be calculated: {error}") from None
    except (ArithmeticError, TypeError, ValueError) as error:
        raise CannotParse(f"has no value: {error}") from None
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        try:
            value = float(value)
        except OverflowError:
            raise CannotParse("has no value: the number is too large") from None
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise CannotParse("has no value: the result is no number")
    return value


_MATH: Final = (
    "acos", "asin", "atan", "atan2", "ceil", "cos", "degrees", "exp", "floor", "gcd", "hypot",
    "log", "log10", "log2", "radians", "sin", "sqrt", "tan", "trunc",
)  # fmt: skip
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": abs,
    "max": max,
    "min": min,
    "round": round,
}


def csv_format(rows: list[Any], delimiter: str) -> str:
    """Rows as CSV: lists as they are, maps under a line with their keys."""
    out = io.StringIO()
    if rows and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        named = csv.DictWriter(out, names, delimiter=delimiter, lineterminator="\n")
        named.writeheader()
        named.writerows(rows)
    elif all(isinstance(row, list) for row in rows):
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    else:
        raise CannotParse("is neither a list of lists nor a list of maps")
    return out.getvalue()


def csv_parse(text: str, delimiter: str, header: bool) -> list[Any]:
    """CSV as rows: maps by the names in the first line, or lists."""
    csv.field_size_limit(len(text) + 1)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise CannotParse(f"is not CSV: {error}") from None
    rows = [row for row in rows if row]
    if not header:
        return rows
    names = rows[0] if rows else []
    if len(set(names)) < len(names):
        raise CannotParse("has two columns of one name: read it with header = false")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise CannotParse(f"row {number} has {len(row)} fields, the header {len(names)}")
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


def html_to_text(html: str, links: bool) -> str:
    """A page as Markdown."""
    import html2text

    converter = html2text.HTML2Text(bodywidth=0)
    converter.ignore_links = converter.ignore_images = not links
    return str(converter.handle(html)).strip() + "\n"


def image_info(data: bytes) -> dict[str, Any]:
    """What the header of an image says. No pixel is decoded."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # a guard for those who decode
    try:
        image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
        frames = getattr(image, "n_frames", 1)
    except UnidentifiedImageError:
        names = ", ".join(IMAGE_FORMATS)
        raise CannotParse(f"is no image that is known here: {names}") from None
    except Exception as error:  # noqa: BLE001 - of each format its own
        raise CannotParse(f"is a damaged image: {error}") from None
    kind = image.format or ""
    return {
        "format": kind, "mime": Image.MIME.get(kind, ""), "mode": image.mode,
        "width": image.width, "height": image.height, "frames": frames,
    }  # fmt: skip


def json_query(data: Any, query: str) -> Any:
    """What a JMESPath query finds."""
    import jmespath  # type: ignore[import-untyped]

    try:
        return jmespath.search(query, data)
    except jmespath.exceptions.JMESPathError as error:
        raise CannotParse(f"is no JMESPath query for this: {error}") from None


def pdf_text(data: bytes, first: int, last: int | None) -> dict[str, Any]:
    """The text of the pages `first` to `last`."""
    import pypdf
    from pypdf.errors import PyPdfError

    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            raise CannotParse("is encrypted")
        pages = len(reader.pages)
        most = min(pages if last is None else last, first - 1 + MAX_PAGES)
        texts = [
            reader.pages[number].extract_text() for number in range(first - 1, min(most, pages))
        ]
        title = str(reader.metadata.title) if reader.metadata and reader.metadata.title else None
    except CannotParse:
        raise
    except (
        PyPdfError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise CannotParse(f"is a damaged PDF: {error}") from None
    return {"text": "\n\n".join(texts), "pages": pages, "title": title}


def text_diff(before: str, after: str, context: int) -> str:
    """A unified diff."""
    a, b = before.splitlines(keepends=True), after.splitlines(keepends=True)
    lines = difflib.unified_diff(a, b, "before", "after", n=context)
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


PARSERS: Final[Mapping[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        calculator, csv_format, csv_parse, html_to_text, image_info, json_query, pdf_text, text_diff,
    )
}  # fmt: skip


def limit(seconds: int) -> None:
    """Bound this process. The limits are hard: nothing that runs here can lift them."""
    for what, most in (
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def main() -> None:
    """Do the one job: `[name, arguments]` in, `["ok", value]` or `["no", message]` out."""
    limit(int(sys.argv[1]))
    name, arguments = msgspec.msgpack.decode(sys.stdin.buffer.read())
    try:
        answer = ["ok", PARSERS[name](*arguments)]
    except CannotParse as error:
        answer = ["no", str(error)]
    except (MemoryError, RecursionError):
        answer = ["no", "is too large or too deep"]
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
