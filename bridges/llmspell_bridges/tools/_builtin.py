"""The tools that are built in: each a method, and a tool for models by the same declaration."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, method
from ..fs import FsBridge
from ..fs._types import Entry, ReadOptions
from ..http import HttpBridge
from ..http._types import HttpResponse, Method, RequestOptions
from ..toolbox import Missing, lacks_package
from ._config import ToolsConfig
from ._process import Parsers
from ._types import ImageInfo, Moment, PdfText, SearchFilter, SearchResponse

Delimiter = Annotated[str, Meta(min_length=1, max_length=1, description="between two fields")]
Entries = list[Entry]
Headers = dict[str, str]
Paths = list[str]
Rows = list[Any]
Data = Annotated[Any, Meta(description="bytes, or base64 text")]

MAX_EXPRESSION: Final = 1000
"""Characters for the calculator: longer ones are programs."""

MAX_SEARCHED: Final = 200
"""Files that one search looks into, each of them read whole."""

MAX_LOOK: Final = 1 << 20
"""Bytes at the beginning of a file that a search looks at."""

_BEGINNING: Final = ReadOptions(encoding="bytes", length=MAX_LOOK)
_NO_HEADERS: Final[Headers] = {}
_ANYWHERE: Final = SearchFilter()
_YES: Final = True


class BuiltinTools(Bridge):
    """The part of the bridge that is tools."""

    config: ClassVar[type[BridgeConfig]] = ToolsConfig

    def __init__(self, config: ToolsConfig) -> None:
        """Keep what the operator configured."""
        self._config = config
        self._parsers = Parsers(config.parse_seconds)

    def is_granted(self, name: str) -> bool:
        """Whether the operator lets spells use the tool `name`."""
        from fnmatch import fnmatchcase

        allow, deny = self._config.allow, self._config.deny
        return any(fnmatchcase(name, p) for p in allow) and not any(
            fnmatchcase(name, p) for p in deny
        )

    def _permit(self, name: str) -> None:
        """Before a tool does anything. Raises `BridgeError`."""
        if not self.is_granted(name):
            message = f"the tool {name} is not granted: see allow and deny under [tools]"
            raise BridgeError("Policy", message, field="name")

    async def _ready(self, ctx: CallContext, name: str) -> None:
        """Before a tool does anything that needs what may be missing. Raises `BridgeError`."""
        self._permit(name)
        if missing := await MISSING[name](self, ctx):
            raise BridgeError("Configuration", f"{name}: {missing}")

    @method(effect="read")
    async def calculator(
        self,
        ctx: CallContext,
        expression: Annotated[
            str, Meta(max_length=MAX_EXPRESSION, description="such as 2 * (3 + sqrt(16))")
        ],
    ) -> float:
        """Calculate an arithmetic expression: + - * / // % **, comparisons, pi, e, functions."""
        await self._ready(ctx, "calculator")
        found: float = await self._parse(ctx, "expression", "calculator", expression)
        return found

    @method(effect="read")
    async def csv_format(
        self,
        ctx: CallContext,
        rows: Annotated[Rows, Meta(description="lists, or maps with the same keys")],
        delimiter: Delimiter = ",",
    ) -> str:
        """Write rows as CSV. Maps get a first line with their keys."""
        await self._ready(ctx, "csv_format")
        found: str = await self._parse(ctx, "rows", "csv_format", rows, delimiter)
        return found

    @method(effect="read")
    async def csv_parse(
        self,
        ctx: CallContext,
        text: Annotated[str, Meta(description="the CSV")],
        header: Annotated[bool, Meta(description="whether the first line names the fields")] = _YES,
        delimiter: Delimiter = ",",
    ) -> Rows:
        """Read CSV into rows: maps by the names in the first line, or lists of texts."""
        await self._ready(ctx, "csv_parse")
        found: Rows = await self._parse(ctx, "text", "csv_parse", text, delimiter, header)
        return found

    @method(effect="read")
    async def datetime(
        self,
        ctx: CallContext,
        at: Annotated[
            str | None, Meta(description="a moment by ISO 8601, in UTC without an offset; now")
        ] = None,
        zone: Annotated[str, Meta(description="time zone, such as Europe/Zurich")] = "UTC",
        add_seconds: Annotated[
            float, Meta(ge=-1e11, le=1e11, description="to be added to the moment")
        ] = 0.0,
    ) -> Moment:
        """The present moment, or a given one, in a time zone."""
        await self._ready(ctx, "datetime")

        from ._moments import moment

        # In a thread: zones are files.
        return await asyncio.to_thread(moment, at, zone, add_seconds)

    @method(effect="read")
    async def file_list(
        self,
        ctx: CallContext,
        path: Annotated[str, Meta(description="a directory")] = ".",
    ) -> Entries:
        """List a directory that the spell may read."""
        self._permit("file_list")
        return await ctx.bridge("fs", FsBridge).list(ctx, path)

    @method(effect="read")
    async def file_read(
        self, ctx: CallContext, path: Annotated[str, Meta(description="a text file")]
    ) -> str:
        """Read a text file that the spell may read."""
        self._permit("file_read")
        return str(await ctx.bridge("fs", FsBridge).read(ctx, path))

    @method(effect="read")
    async def file_search(
        self,
        ctx: CallContext,
        pattern: Annotated[str, Meta(description="such as **/*.md")],
        contains: Annotated[str | None, Meta(description="only files with this text")] = None,
    ) -> Paths:
        """Find files by their names, and by a text in them.

        Looks at the beginning of 200 files at most.
        """
        self._permit("file_search")
        files = ctx.bridge("fs", FsBridge)
        paths = await files.glob(ctx, pattern)
        if contains is None:
            return paths
        return [path for path in paths[:MAX_SEARCHED] if await _holds(files, ctx, path, contains)]

    @method(effect="write")
    async def file_write(
        self,
        ctx: CallContext,
        path: Annotated[str, Meta(description="a file; directories are made for it")],
        text: Annotated[str, Meta(description="its new content")],
    ) -> int:
        """Write a text file where the spell may write, all of it or nothing; gives its bytes."""
        self._permit("file_write")
        files = ctx.bridge("fs", FsBridge)
        if folder := path.rpartition("/")[0]:
            await files.mkdir(ctx, folder)
        return await files.write(ctx, path, text)

    @method(effect="read")
    async def html_to_text(
        self,
        ctx: CallContext,
        html: Annotated[str, Meta(description="the page")],
        links: Annotated[bool, Meta(description="whether links and images are kept")] = _YES,
    ) -> str:
        """Turn an HTML page into Markdown."""
        await self._ready(ctx, "html_to_text")
        found: str = await self._parse(ctx, "html", "html_to_text", html, links)
        return found

    @method(effect="varies")
    async def http_request(
        self,
        ctx: CallContext,
        url: Annotated[str, Meta(description="an address on a granted domain")],
        method: Annotated[Method, Meta(description="GET, POST, ...")] = "GET",
        headers: Annotated[Headers, Meta(description="headers by name")] = _NO_HEADERS,
        body: Annotated[str | None, Meta(description="text to send")] = None,
    ) -> HttpResponse:
        """Make an HTTP request; gives status, headers and text."""
        self._permit("http_request")
        web = ctx.bridge("http", HttpBridge)
        return await web.request(ctx, method, url, RequestOptions(headers=headers, body=body))

    @method(effect="read")
    async def image_info(self, ctx: CallContext, data: Data) -> ImageInfo:
        """Format and size of a PNG, JPEG, GIF, BMP, TIFF or ICO image, from its header."""
        await self._ready(ctx, "image_info")
        found = await self._parse(ctx, "data", "image_info", _bytes(data))
        return msgspec.convert(found, ImageInfo)

    @method(effect="read")
    async def json_query(
        self,
        ctx: CallContext,
        data: Annotated[Any, Meta(description="what is searched")],
        query: Annotated[
            str, Meta(max_length=4096, description="such as people[?age > `30`].name")
        ],
    ) -> Any:
        """Search data with a JMESPath query."""
        await self._ready(ctx, "json_query")
        return await self._parse(ctx, "query", "json_query", data, query)

    @method(effect="read")
    async def pdf_text(
        self,
        ctx: CallContext,
        data: Data,
        first: Annotated[int, Meta(ge=1, description="number of the first page")] = 1,
        last: Annotated[int | None, Meta(description="number of the last page")] = None,
    ) -> PdfText:
        """The text of a PDF, 500 pages at most in one call."""
        await self._ready(ctx, "pdf_text")
        found = await self._parse(ctx, "data", "pdf_text", _bytes(data), first, last)
        return msgspec.convert(found, PdfText)

    @method(effect="read")
    async def text_diff(
        self,
        ctx: CallContext,
        before: Annotated[str, Meta(description="the old text")],
        after: Annotated[str, Meta(description="the new text")],
        context: Annotated[int, Meta(ge=0, le=1000, description="lines around a change")] = 3,
    ) -> str:
        """How two texts differ, line by line, as a unified diff. Empty if they do not."""
        await self._ready(ctx, "text_diff")
        found: str = await self._parse(ctx, "after", "text_diff", before, after, context)
        return found

    @method(effect="send")
    async def web_search(
        self,
        ctx: CallContext,
        query: Annotated[str, Meta(min_length=1, max_length=1000, description="what to look for")],
        max_results: Annotated[int, Meta(ge=1, le=20, description="pages at most")] = 5,
        filter: Annotated[SearchFilter, Meta(description="where to look")] = _ANYWHERE,  # noqa: A002 - the document's name
    ) -> SearchResponse:
        """Search the web, with the provider that the operator has configured."""
        from ._search import search

        await self._ready(ctx, "web_search")
        return await search(self._config, ctx, query, max_results, filter)

    async def _parse(self, ctx: CallContext, field: str, name: str, *arguments: Any) -> Any:
        return await self._parsers.run(ctx, field, name, *arguments)


def _bytes(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _invalid("data", "must be bytes, or base64 text") from None


def _invalid(field: str, message: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: {message}", field=field)


async def _holds(files: FsBridge, ctx: CallContext, path: str, text: str) -> bool:
    part = await files.read(ctx, path, _BEGINNING)
    return text.encode() in part


async def _nothing(_: BuiltinTools, __: CallContext) -> str:
    return ""


def _package(module: str) -> Missing[BuiltinTools]:
    async def missing(_: BuiltinTools, __: CallContext) -> str:
        return lacks_package(module, "tools")

    return missing


def _bridge(name: str) -> Missing[BuiltinTools]:
    async def missing(_: BuiltinTools, ctx: CallContext) -> str:
        return "" if name in ctx.bridges else f"the bridge is not granted: --allow-bridge {name}"

    return missing


async def _no_search(bridge: BuiltinTools, _: CallContext) -> str:
    from ._search import missing

    return await missing(bridge._config)


MISSING: Final[Mapping[str, Missing[BuiltinTools]]] = {
    "calculator": _package("simpleeval"),
    "csv_format": _nothing,
    "csv_parse": _nothing,
    "datetime": _nothing,
    "file_list": _bridge("fs"),
    "file_read": _bridge("fs"),
    "file_search": _bridge("fs"),
    "file_write": _bridge("fs"),
    "html_to_text": _package("html2text"),
    "http_request": _bridge("http"),
    "image_info": _package("PIL"),
    "json_query": _package("jmespath"),
    "pdf_text": _package("pypdf"),
    "text_diff": _nothing,
    "web_search": _no_search,
}
"""The built-in tools, and what tells what each of them lacks."""
