"""The bridge `tools`: what is built in, and what a spell registers."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, timedelta
from datetime import datetime as Datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, method
from ._config import ToolsConfig
from ._process import Parsers
from ._script import ScriptTool, ToolOptions
from ._tool import BuiltinTool, Tool, lacks_package
from ._toolbox import Toolbox
from ._types import (
    Health,
    ImageInfo,
    Moment,
    PdfText,
    SearchFilter,
    SearchResponse,
    ToolInfo,
    Validity,
)

Delimiter = Annotated[str, Meta(min_length=1, max_length=1, description="between two fields")]
Infos = list[ToolInfo]
Rows = list[Any]
Data = Annotated[Any, Meta(description="bytes, or base64 text")]

MAX_EXPRESSION: Final = 1000
"""Characters for the calculator: longer ones are programs."""


class ToolsBridge(Bridge):
    """Tools for spells and for their agents: built-in ones, and functions of the spell."""

    name: ClassVar[str] = "tools"
    config: ClassVar[type[BridgeConfig]] = ToolsConfig

    def __init__(self, config: ToolsConfig) -> None:
        """Keep what the operator configured."""
        self._config = config
        self._parsers = Parsers(config.parse_seconds)

    # --- tools by name ----------------------------------------------------------------------------

    @method
    async def call(
        self,
        ctx: CallContext,
        name: Annotated[str, Meta(description="of the tool, exactly")],
        arguments: Annotated[dict[str, Any], Meta(description="what it is given, by name")] = {},
    ) -> Any:
        """Call a tool by its name. Arguments are checked against its schema."""
        return await self.toolbox(ctx).get(name).call(ctx, arguments)

    @method
    async def list(self, ctx: CallContext) -> Infos:
        """The tools that this spell may use, with the JSON Schemas of their arguments."""
        return [tool.info() for tool in self.toolbox(ctx).tools]

    @method
    async def validate(
        self,
        ctx: CallContext,
        name: Annotated[str, Meta(description="of the tool, exactly")],
        arguments: Annotated[dict[str, Any], Meta(description="what it would be given")] = {},
    ) -> Validity:
        """Whether a tool would take these arguments. It is not called."""
        return await self.toolbox(ctx).get(name).validate(arguments)

    @method
    async def health(
        self, ctx: CallContext, name: Annotated[str, Meta(description="of the tool, exactly")]
    ) -> Health:
        """Whether a tool can be used here: its package is installed, its key is set."""
        return await self.toolbox(ctx).get(name).health()

    @method
    async def register(self, ctx: CallContext, tool: ToolOptions) -> None:
        """Make a function of the spell a tool, until the spell ends."""
        self.toolbox(ctx).add(await ScriptTool.of(tool, ""))

    def toolbox(self, ctx: CallContext) -> Toolbox:
        """The tools of a run, for this bridge and for others."""
        return ctx.state("tools", self._toolbox)

    def _toolbox(self) -> Toolbox:
        return Toolbox(self._builtins)

    @functools.cached_property
    def _builtins(self) -> tuple[Tool, ...]:
        return tuple(
            BuiltinTool(self, getattr(type(self), name), missing)
            for name, missing in _MISSING.items()
            if self._is_granted(name)
        )

    def _is_granted(self, name: str) -> bool:
        allow, deny = self._config.allow, self._config.deny
        return any(fnmatchcase(name, p) for p in allow) and not any(
            fnmatchcase(name, p) for p in deny
        )

    async def _ready(self, name: str) -> None:
        """Before a built-in tool does anything. Raises `BridgeError`."""
        if not self._is_granted(name):
            message = f"the tool {name} is not granted: see allow and deny under [tools]"
            raise BridgeError("Policy", message, field="name")
        if missing := await _MISSING[name](self):
            raise BridgeError("Configuration", f"{name}: {missing}")

    # --- tools that are built in ------------------------------------------------------------------

    @method
    async def calculator(
        self,
        ctx: CallContext,
        expression: Annotated[
            str, Meta(max_length=MAX_EXPRESSION, description="such as 2 * (3 + sqrt(16))")
        ],
    ) -> float:
        """Calculate an arithmetic expression: + - * / // % **, comparisons, pi, e, functions."""
        await self._ready("calculator")
        return await self._parse(ctx, "expression", "calculator", expression)

    @method
    async def csv_format(
        self,
        ctx: CallContext,
        rows: Annotated[Rows, Meta(description="lists, or maps with the same keys")],
        delimiter: Delimiter = ",",
    ) -> str:
        """Write rows as CSV. Maps get a first line with their keys."""
        await self._ready("csv_format")
        return await self._parse(ctx, "rows", "csv_format", rows, delimiter)

    @method
    async def csv_parse(
        self,
        ctx: CallContext,
        text: Annotated[str, Meta(description="the CSV")],
        header: Annotated[bool, Meta(description="whether the first line names the fields")] = True,
        delimiter: Delimiter = ",",
    ) -> Rows:
        """Read CSV into rows: maps by the names in the first line, or lists of texts."""
        await self._ready("csv_parse")
        return await self._parse(ctx, "text", "csv_parse", text, delimiter, header)

    @method
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
        await self._ready("datetime")
        # In a thread: zones are files.
        return await asyncio.to_thread(_moment, at, zone, add_seconds)

    @method
    async def html_to_text(
        self,
        ctx: CallContext,
        html: Annotated[str, Meta(description="the page")],
        links: Annotated[bool, Meta(description="whether links and images are kept")] = True,
    ) -> str:
        """Turn an HTML page into Markdown."""
        await self._ready("html_to_text")
        return await self._parse(ctx, "html", "html_to_text", html, links)

    @method
    async def image_info(self, ctx: CallContext, data: Data) -> ImageInfo:
        """Format and size of a PNG, JPEG, GIF, BMP, TIFF or ICO image, from its header."""
        await self._ready("image_info")
        found = await self._parse(ctx, "data", "image_info", _bytes(data))
        return msgspec.convert(found, ImageInfo)

    @method
    async def json_query(
        self,
        ctx: CallContext,
        data: Annotated[Any, Meta(description="what is searched")],
        query: Annotated[
            str, Meta(max_length=4096, description="such as people[?age > `30`].name")
        ],
    ) -> Any:
        """Search data with a JMESPath query."""
        await self._ready("json_query")
        return await self._parse(ctx, "query", "json_query", data, query)

    @method
    async def pdf_text(
        self,
        ctx: CallContext,
        data: Data,
        first: Annotated[int, Meta(ge=1, description="number of the first page")] = 1,
        last: Annotated[int | None, Meta(description="number of the last page")] = None,
    ) -> PdfText:
        """The text of a PDF, 500 pages at most in one call."""
        await self._ready("pdf_text")
        found = await self._parse(ctx, "data", "pdf_text", _bytes(data), first, last)
        return msgspec.convert(found, PdfText)

    @method
    async def text_diff(
        self,
        ctx: CallContext,
        before: Annotated[str, Meta(description="the old text")],
        after: Annotated[str, Meta(description="the new text")],
        context: Annotated[int, Meta(ge=0, le=1000, description="lines around a change")] = 3,
    ) -> str:
        """How two texts differ, line by line, as a unified diff. Empty if they do not."""
        await self._ready("text_diff")
        return await self._parse(ctx, "after", "text_diff", before, after, context)

    @method
    async def web_search(
        self,
        ctx: CallContext,
        query: Annotated[str, Meta(min_length=1, max_length=1000, description="what to look for")],
        max_results: Annotated[int, Meta(ge=1, le=20, description="pages at most")] = 5,
        filter: Annotated[SearchFilter, Meta(description="where to look")] = SearchFilter(),  # noqa: A002 - the document's name
    ) -> SearchResponse:
        """Search the web, with the provider that the operator has configured."""
        from ._search import search

        await self._ready("web_search")
        return await search(self._config, ctx, query, max_results, filter)

    async def _parse(self, ctx: CallContext, field: str, name: str, *arguments: Any) -> Any:
        return await self._parsers.run(ctx, field, name, *arguments)


def _moment(at: str | None, zone: str, add: float) -> Moment:
    from zoneinfo import ZoneInfo

    try:
        there = ZoneInfo(zone)
    except (LookupError, ValueError, OSError):
        raise _invalid("zone", "there is no such time zone") from None
    try:
        given = Datetime.now(UTC) if at is None else Datetime.fromisoformat(at)
        if given.tzinfo is None:
            given = given.replace(tzinfo=UTC)
        moment = (given + timedelta(seconds=add)).astimezone(there)
    except ValueError:
        raise _invalid("at", "is no moment by ISO 8601, such as 2026-11-28T12:00:00Z") from None
    except OverflowError:
        raise _invalid("add_seconds", "leads out of the calendar") from None
    return Moment(
        iso=moment.isoformat(), unix=moment.timestamp(), zone=zone,
        weekday=_WEEKDAYS[moment.weekday()], year=moment.year, month=moment.month,
        day=moment.day, hour=moment.hour, minute=moment.minute, second=moment.second,
    )  # fmt: skip


_WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip


def _bytes(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _invalid("data", "must be bytes, or base64 text") from None


def _invalid(field: str, message: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: {message}", field=field)


async def _nothing(_: ToolsBridge) -> str:
    return ""


def _package(module: str) -> Callable[[ToolsBridge], Awaitable[str]]:
    async def missing(_: ToolsBridge) -> str:
        return lacks_package(module, "tools")

    return missing


async def _no_search(bridge: ToolsBridge) -> str:
    from ._search import missing

    return await missing(bridge._config)


_MISSING: Final[Mapping[str, Callable[[ToolsBridge], Awaitable[str]]]] = {
    "calculator": _package("simpleeval"),
    "csv_format": _nothing,
    "csv_parse": _nothing,
    "datetime": _nothing,
    "html_to_text": _package("html2text"),
    "image_info": _package("PIL"),
    "json_query": _package("jmespath"),
    "pdf_text": _package("pypdf"),
    "text_diff": _nothing,
    "web_search": _no_search,
}
"""The built-in tools, and what tells what each of them lacks."""
