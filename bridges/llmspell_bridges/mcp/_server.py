"""A server that the operator has named: started when it is needed, and again when it has died."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._clock import off_the_clock
from .._context import CallContext
from .._errors import BridgeError
from .._secret import masked, redact
from . import _library
from ._config import McpServerConfig
from ._grants import never_shown
from ._tools import Listed, is_granted
from ._types import Link, McpAnswer, Prompt, PromptInfo, ServerInfo

if TYPE_CHECKING:
    from mcp.client.client import Client

    from ._connection import Connection

T = TypeVar("T")

MAX_LISTED: Final = 512
"""Tools, resources or prompts of one server. The largest public ones have a hundred tools."""

MAX_STARTS: Final = 5
"""Starts of one server in `WINDOW` seconds: more of them only heat the machine."""

WINDOW: Final = 60.0

FRESH: Final = 60.0
"""Seconds for which a list of tools is taken as it was: to ask anew each time doubles each call."""


class Server:
    """One server. Belongs to one event loop; all runs share it."""

    def __init__(self, name: str, config: McpServerConfig) -> None:
        self.name: str = name
        self._config = config
        self._connection: Connection | None = None
        self._starting: asyncio.Task[Connection] | None = None
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        self._listed: tuple[Connection, float, dict[str, Listed]] | None = None

    def info(self) -> ServerInfo:
        """How it is shown to scripts."""
        return ServerInfo(
            name=self.name,
            transport="http" if self._config.url else "stdio",
            running=self._connection is not None and self._connection.alive,
        )

    async def close(self) -> None:
        """End it, if it was ever started."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._connection is not None:
            await self._connection.close()

    async def tools(self, ctx: CallContext, *, fresh: bool = True) -> dict[str, Listed]:
        """The tools that spells may use, by name. Unless `fresh`, as they were a minute ago."""
        connection = await self._connect()
        if self._listed is not None and not fresh:
            of, at, found = self._listed
            if of is connection and time.monotonic() - at < FRESH:
                return found

        import mcp_types as types

        async def page(client: Client, cursor: str | None) -> types.ListToolsResult:
            # Not by the library's own method: it would hold results to the server's schemas, with
            # a validator that nothing bounds.
            params = types.PaginatedRequestParams(cursor=cursor)
            request = types.ListToolsRequest(params=params)
            return await client.session.send_request(request, types.ListToolsResult)

        given = await self._list(ctx, "tools", page)
        granted = [t for t in given if is_granted(t.name, self._config.tools)]
        found = {tool.name: await Listed.of(tool) for tool in granted}
        self._listed = (connection, time.monotonic(), found)
        return found

    async def tool(self, ctx: CallContext, name: str) -> Listed:
        """The tool of that name. Raises `BridgeError` if there is none for spells."""
        found = (await self.tools(ctx, fresh=False)).get(name)
        if found is None:  # it may be new
            tools = await self.tools(ctx)
            found = tools.get(name)
            if found is None:
                raise _unknown("tool", name, self.name, tools)
        return found

    async def call(self, ctx: CallContext, tool: str, arguments: Any) -> McpAnswer:
        """Call a tool. Raises `BridgeError`; what the tool itself reports is of kind `Provider`."""
        ctx.note(tool=tool)
        listed = await self.tool(ctx, tool)
        what = f"{self.name}.{tool}"
        checked = await listed.check(arguments, what)

        import mcp_types as types

        from . import _answers

        async def ask(client: Client) -> types.CallToolResult:
            params = types.CallToolRequestParams(name=tool, arguments=checked)
            request = types.CallToolRequest(params=params)
            return await client.session.send_request(request, types.CallToolResult)

        with self._masking():
            answer = _answers.answer(await self._ask(ctx, ask, what), what)
        if listed.gives is not None:
            await _hold_to(listed, answer, what)
        return masked(answer, never_shown(self._config))

    async def resources(self, ctx: CallContext) -> list[Link]:
        """Its resources."""
        from . import _answers

        given = await self._list(ctx, "resources", lambda c, at: c.list_resources(cursor=at))
        return [masked(_answers.link(item), never_shown(self._config)) for item in given]

    async def read(self, ctx: CallContext, uri: str) -> McpAnswer:
        """What a resource holds."""
        from . import _answers

        what = f"{self.name}: {uri[:200]}"
        with self._masking():
            found = await self._ask(ctx, lambda client: client.read_resource(uri), what)
            return masked(_answers.contents(found, what), never_shown(self._config))

    async def prompts(self, ctx: CallContext) -> list[PromptInfo]:
        """Its prompts."""
        from . import _answers

        given = await self._list(ctx, "prompts", lambda c, at: c.list_prompts(cursor=at))
        return [masked(_answers.prompt_info(item), never_shown(self._config)) for item in given]

    async def prompt(self, ctx: CallContext, name: str, arguments: dict[str, str]) -> Prompt:
        """A prompt, filled in."""
        from . import _answers

        what = f"{self.name}: {name[:200]}"
        with self._masking():
            found = await self._ask(ctx, lambda client: client.get_prompt(name, arguments), what)
            return masked(_answers.prompt(found, what), never_shown(self._config))

    async def _list(
        self, ctx: CallContext, kind: str, page: Callable[[Client, str | None], Awaitable[Any]]
    ) -> list[Any]:
        """All of one kind of thing. None where the server does not have that kind."""
        what = f"MCP server {self.name}"

        async def ask(client: Client) -> list[Any]:
            found: list[Any] = []
            if getattr(client.server_capabilities, kind) is None:
                return found
            cursor: str | None = None
            for _ in range(MAX_LISTED):
                result = await page(client, cursor)
                found += getattr(result, kind)
                cursor = result.next_cursor
                if cursor is None or len(found) > MAX_LISTED:
                    break
            return found

        with self._masking():
            found = await self._ask(ctx, ask, what)
        if len(found) > MAX_LISTED:
            message = f"{what}: it has more than {MAX_LISTED} {kind}, which is the limit"
            raise BridgeError("Provider", message)
        return found

    async def _ask(self, ctx: CallContext, ask: Callable[[Client], Awaitable[T]], what: str) -> T:
        ctx.note(server=self.name)
        connection = await self._connect()
        seconds = min(self._config.timeout, ctx.call_timeout())
        with off_the_clock():  # which bounds the call itself, and knows whom it has waited for
            return await connection.request(ask, seconds, what)

    async def _connect(self) -> Connection:
        """The conversation with the server, begun if there is none. Raises `BridgeError`."""
        if self._connection is not None and self._connection.alive:
            return self._connection
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._started)
        with off_the_clock(), self._masking():  # bounded by start_timeout; others wait for it, too
            return await asyncio.shield(self._starting)

    async def _start(self) -> Connection:
        await _library.load()
        from ._connection import Connection

        if self._connection is not None:
            await self._connection.close()  # what is left of it
        now = time.monotonic()
        if len(self._starts) == MAX_STARTS and now - self._starts[0] < WINDOW:
            wait = self._starts[0] + WINDOW - now
            message = (
                f"MCP server {self.name}: it was started {MAX_STARTS} times within {WINDOW:g} s;"
                f" it may be again in {wait:.0f} s"
            )
            raise BridgeError("Provider", message, retryable=True, retry_after=wait)
        self._starts.append(now)
        self._connection = await Connection.open(self.name, self._config)
        return self._connection

    def _started(self, task: asyncio.Task[Connection]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # whoever waited for it has it

    @contextlib.contextmanager
    def _masking(self) -> Iterator[None]:
        """Errors without what no script may see."""
        try:
            yield
        except BridgeError as error:
            error.message = redact(error.message, never_shown(self._config))
            raise


async def _hold_to(listed: Listed, answer: McpAnswer, what: str) -> None:
    """The server's own schema of a result. Raises `BridgeError` of kind `Provider`."""
    assert listed.gives is not None
    try:
        await listed.gives.check(answer.data, what)
    except BridgeError as error:
        message = f"{what}: the result is not what the server's schema says: {error.message}"
        raise BridgeError("Provider", message) from None


def _unknown(kind: str, name: str, server: str, there: dict[str, Any]) -> BridgeError:
    import difflib

    near = difflib.get_close_matches(name, there, 1, 0.6)
    hint = f"did you mean '{near[0]}'?" if near else f'see mcp.tools("{server}")'
    message = f"{kind}: the MCP server {server} has no {kind} '{name[:80]}' for spells; {hint}"
    return BridgeError("Validation", message, field=kind)
