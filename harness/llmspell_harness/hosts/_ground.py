"""Where spells try to reach what they may not: servers on loopback, and names that lead to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self

import msgspec

from llmspell_bridges import BridgeError
from llmspell_bridges.http import HttpBridge, HttpConfig
from llmspell_supervisor import Policy, RunReport, Spell, Supervisor

from .._attack import Succeeded
from .._stage import Stage

CANARY: Final = "127.0.0.1"
"""Nobody permits it: who gets there has got out."""
PERMITTED: Final = "127.0.0.2"
"""The operator permits it: `ok.example` leads there."""
REFUSED: Final = frozenset({"Policy", "Validation", "Limit"})
"""What an attempt must end with: any other kind says that something was dialled."""
_TIMEOUT: Final = 30.0

Reply = Callable[[str], bytes]
"""From the head of a request to the whole answer."""

_TRY_LUA: Final = """
local found = {}
for i, url in ipairs(params.urls) do
  local ok, got = pcall(http.get, url, {timeout = 5})
  found[i] = ok and "answered: " .. got.body or got.kind
end
return found
"""
_TRY_JS: Final = """
const found = [];
for (const url of params.urls)
  found.push(await http.get(url, { timeout: 5 }).then((r) => "answered: " + r.body, (e) => e.kind));
return found;
"""


def answer(body: bytes = b"", status: int = 200, *headers: str) -> bytes:
    """A whole answer, after which the server hangs up."""
    lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(body)}", "connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


class Names:
    """A name server: each name has a list of answers, one for each look-up; the last one stays."""

    def __init__(self, zone: dict[str, list[list[str]]]) -> None:
        self.asked: list[str] = []
        self._zone = zone

    async def resolve(self, host: str) -> list[str]:
        """What the zone says this time."""
        turns = self._zone.get(host)
        if turns is None:
            raise BridgeError("Network", f"url: the name {host} is not known", field="url")
        turn = self.asked.count(host)
        self.asked.append(host)
        return turns[min(turn, len(turns) - 1)]

    def close(self) -> None:
        """There is nothing to close."""


class Ground:
    """The canary, and a permitted server at the same port of another address.

    async with Ground(stage, names) as ground:
        found = await ground.try_all(["http://127.1:P/"])
    """

    def __init__(
        self, stage: Stage, names: Names | None = None, *, reply: Reply | None = None,
        grants: tuple[str, ...] = (), **settings: Any,
    ) -> None:  # fmt: skip
        """`grants` are hosts beside `ok.example`, `settings` those of the bridge."""
        self.heads: list[str] = []
        """What the permitted server got."""
        self.visits: list[str] = []
        """What the canary got: an empty text for a connection that said nothing."""
        self.names = names or Names({"ok.example": [[PERMITTED]]})
        self._engine = stage.engine
        self._reply = reply or (lambda _: answer(b"permitted"))
        self._grants = ("ok.example", *grants)
        self.settings = settings
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        canary = await asyncio.start_server(self._visit, CANARY, 0)
        self._stack.callback(canary.close)
        self.port: int = canary.sockets[0].getsockname()[1]
        permitted = await asyncio.start_server(self._serve, PERMITTED, self.port)
        self._stack.callback(permitted.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def url(self, text: str) -> str:
        """An address of a list of attacks: `:P` is the canary's port."""
        return text.replace(":P", f":{self.port}")

    async def run(self, lua: str, javascript: str, **params: Any) -> RunReport:
        """Run a spell that may ask the permitted server."""
        permitted = [f"{PERMITTED}:{self.port}"]
        given = {"allow_private": permitted, "rate": 1000, "burst": 1000, **self.settings}
        bridge = HttpBridge(msgspec.convert(given, HttpConfig), self.names)
        policy = Policy(
            allow_bridges=("http",), allow_domain=self._grants, require_tls=False,
            timeout=_TIMEOUT, max_calls=10_000,
        )  # fmt: skip
        source = lua if self._engine == "lua" else javascript
        spell = Spell.from_text(source, self._engine, "spell")
        async with Supervisor() as supervisor:
            supervisor.bridges.add(bridge)
            return await supervisor.run(spell, params=params, policy=policy)

    async def try_all(self, urls: list[str]) -> str:
        """Ask for each of `urls`, none of which may be dialled. Raises `Succeeded`."""
        report = await self.run(_TRY_LUA, _TRY_JS, urls=[self.url(url) for url in urls])
        if report.verdict != "ok":
            raise ValueError(f"the spell did not end well: {report.problem}")
        self.check()
        got = {url: kind for url, kind in zip(urls, report.value, strict=True)
               if kind not in REFUSED}  # fmt: skip
        if got:
            raise Succeeded(f"dialled: {got}")
        return f"{len(urls)} addresses, none dialled"

    def check(self) -> None:
        """Raises `Succeeded` if the canary was called upon."""
        if self.visits:
            raise Succeeded(f"reached the canary: {self.visits}")

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits.append("")
        async with _closing(writer):
            self.visits[-1] = await _head(reader)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            head = await _head(reader)
            self.heads.append(head)
            writer.write(self._reply(head))
            await writer.drain()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            yield
    finally:
        writer.close()


async def _head(reader: asyncio.StreamReader) -> str:
    """A request with its body, if it says how long that is."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(
        (int(line.partition(":")[2]) for line in head.splitlines()
         if line.lower().startswith("content-length:")), 0,
    )  # fmt: skip
    return head + (await reader.readexactly(length)).decode("latin-1")
