"""A dry run: what reads is done; what would write, send or spend is listed and answered as if."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, End, method
from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor
from llmspell_supervisor._dry import MAX_PLANNED, DryRun
from tests.support.command import Command
from tests.support.web_server import Reply, WebServer, page


class Shop(Bridge):
    """Notes every effect that it has."""

    name: ClassVar[str] = "shop"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.effects: list[str] = []

    @method(effect="read")
    async def price(self, ctx: CallContext, item: str) -> int:
        """Read one."""
        return 7

    @method(effect="spend")
    async def buy(self, ctx: CallContext, item: str) -> dict[str, int]:
        """Spend."""
        self.effects.append(item)
        return {"left": 3}

    @method(effect="send")
    async def watch(self, ctx: CallContext) -> AsyncIterator[int | End[str]]:
        """A stream with an effect."""
        self.effects.append("watch")
        yield 1
        yield End("over")

    @method
    async def undeclared(self, ctx: CallContext) -> str:
        """Who knows."""
        self.effects.append("undeclared")
        return "done"

    @method(effect="varies")
    async def change(self, ctx: CallContext, count: int) -> int:
        """Reads for nothing, writes for more."""
        if count and ctx.dry_run:
            ctx.plan("write", f"{count} rows")
            if count > 9:
                raise BridgeError("Limit", "nine rows at most")
            return 0
        self.effects += ["row"] * count
        return count


LUA = """
local stream, pieces = shop.watch(), 0
for piece in stream do pieces = pieces + 1 end
return {
  shop.price("tea"), shop.buy("tea " .. env.WORD).left or json.null, pieces, stream.result,
  shop.undeclared(), shop.change(0), shop.change(2),
}
"""
JAVASCRIPT = """
const stream = shop.watch();
let pieces = 0;
for await (const piece of stream) pieces++;
return [
  await shop.price("tea"), (await shop.buy("tea " + env.WORD)).left ?? null, pieces,
  await stream.result, await shop.undeclared(), await shop.change(0), await shop.change(2),
];
"""


def run(source: str, engine: str, *, dry_run: bool, **policy: Any) -> tuple[RunReport, Shop]:
    bridge = Shop()

    async def once() -> RunReport:
        async with Supervisor() as supervisor:
            supervisor.bridges.add(bridge)
            spell = Spell.from_text(source, engine, "a")
            granted = Policy(**{"allow_bridges": ("shop",), "allow_env": ("WORD",), **policy})
            return await supervisor.run(spell, policy=granted, dry_run=dry_run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORD", "canary words")
        return asyncio.run(once()), bridge


@pytest.mark.parametrize(("engine", "source"), [("lua", LUA), ("javascript", JAVASCRIPT)])
def test_effects_are_listed_and_not_had(engine: str, source: str) -> None:
    report, bridge = run(source, engine, dry_run=True)
    assert report.value == [7, None, 0, "", "", 0, 0]
    assert bridge.effects == []
    assert [(p.effect, p.description) for p in report.planned] == [
        ("send", "shop.watch()"),
        ("spend", 'shop.buy(item: "tea ***")'),
        ("unknown", "shop.undeclared()"),
        ("write", "2 rows"),
    ]
    report, bridge = run(source, engine, dry_run=False)
    assert report.value == [7, 3, 1, "over", "done", 0, 2]
    assert (report.planned, report.dry_run) == ((), False)
    assert len(bridge.effects) == 5


VARYING_LUA = """
local url = params.web
tools.register({name = "mine", handler = function() return http.post(url .. "/mine").status end})
local sent = http.stream(url .. "/stream", {method = "POST", body = "x"})
for _ in sent do end
local read = http.stream(url .. "/a")
for _ in read do end
return {
  http.request("GET", url .. "/a").body, http.request("HEAD", url .. "/head").status,
  http.request("DELETE", url .. "/a").status, sent.result.status, read.result.status,
  tools.call("http_request", {url = url .. "/a"}).body,
  tools.http_request(url .. "/a", "PUT").status,
  tools.call("calculator", {expression = "6 * 7"}),
  tools.call("file_write", {path = "/a.txt", text = env.WORD}),
  tools.call("mine", {}),
  #vector.search("c", "a text"), #vector.search("c", {vector = {1, 0}}), #rag.retrieve("c", "what?"),
  pcall(http.request, "POST", "http://other.example/"), (pcall(tools.call, "file_write", {path = 1})),
}
"""
VARYING_JAVASCRIPT = """
const url = params.web;
const tried = async (call) => { try { await call(); return true; } catch { return false; } };
await tools.register({name: "mine", handler: async () => (await http.post(url + "/mine")).status});
const sent = http.stream(url + "/stream", {method: "POST", body: "x"});
for await (const _ of sent);
const read = http.stream(url + "/a");
for await (const _ of read);
return [
  (await http.request("GET", url + "/a")).body, (await http.request("HEAD", url + "/head")).status,
  (await http.request("DELETE", url + "/a")).status, (await sent.result).status,
  (await read.result).status,
  (await tools.call("http_request", {url: url + "/a"})).body,
  (await tools.httpRequest(url + "/a", "PUT")).status,
  await tools.call("calculator", {expression: "6 * 7"}),
  await tools.call("file_write", {path: "/a.txt", text: env.WORD}),
  await tools.call("mine", {}),
  (await vector.search("c", "a text")).length,
  (await vector.search("c", {vector: [1, 0]})).length, (await rag.retrieve("c", "what?")).length,
  await tried(() => http.request("POST", "http://other.example/")),
  await tried(() => tools.call("file_write", {path: 1})),
];
"""


@pytest.mark.parametrize(
    ("engine", "source"), [("lua", VARYING_LUA), ("javascript", VARYING_JAVASCRIPT)]
)
def test_what_varies_does_what_its_arguments_read_and_lists_the_rest(
    engine: str, source: str, tmp_path: Path
) -> None:
    kept = {"directory": str(tmp_path), "embedding": "nobody/embedder"}
    pages: dict[str, Reply] = {"/a": page(b"page"), "/head": b"HTTP/1.1 200 OK\r\n\r\n"}

    async def once(port: int) -> RunReport:
        http = {"allow_private": [f"127.0.0.1:{port}"]}
        settings: dict[str, dict[str, Any]] = {"http": http, "vector": kept, "rag": kept}
        async with Supervisor(Config(bridges=settings)) as supervisor:
            granted = Policy(
                allow_bridges=("http", "tools", "vector", "rag", "fs"),
                allow_domain=("127.0.0.1",),
                allow_env=("WORD",),
                allow_write=(str(tmp_path),),
            )
            return await supervisor.run(
                Spell.from_text(source, engine, "a"),
                params={"web": f"http://127.0.0.1:{port}"},
                policy=granted,
                dry_run=True,
            )

    with pytest.MonkeyPatch.context() as patch, WebServer(pages) as web:
        patch.setenv("WORD", "canary words")
        report = asyncio.run(once(web.port))
    assert report.value == [
        "page", 200, 0, 0, 200, "page", 0, 42, 0, 0, 0, 0, 0, False, False
    ]  # fmt: skip
    assert {request.method for request in web.requests} == {"GET", "HEAD"}
    at = f"http://127.0.0.1:{web.port}"
    assert [(p.method, p.effect, p.description) for p in report.planned] == [
        ("http.stream", "send", f"POST {at}"),
        ("http.request", "send", f"DELETE {at}"),
        ("tools.http_request", "send", f"PUT {at}"),
        ("tools.call", "write", 'file_write(path: "/a.txt", text: "***")'),
        ("http.post", "send", f'http.post(url: "{at}/mine")'),
        ("vector.search", "spend", "one text embedded by nobody/embedder"),
        ("rag.retrieve", "spend", "one text embedded by nobody/embedder"),
    ]


def test_what_a_call_planned_before_it_failed_is_listed() -> None:
    report, _ = run("return pcall(shop.change, 10)", "lua", dry_run=True)
    assert report.value is False
    assert [p.description for p in report.planned] == ["10 rows"]


def test_grants_and_arguments_are_checked_as_in_earnest() -> None:
    report, _ = run("shop.buy(3)", "lua", dry_run=True)
    assert (report.verdict, report.planned) == ("script_error", ())
    report, _ = run("shop.buy('x')", "lua", dry_run=True, allow_bridges=("shop.price",))
    assert (report.verdict, report.planned) == ("script_error", ())
    report, _ = run("for _ = 1, 3 do shop.buy('x') end", "lua", dry_run=True, max_calls=2)
    assert (report.verdict, len(report.planned)) == ("call_limit", 2)


def test_the_list_is_bounded_and_the_rest_counted() -> None:
    dry = DryRun({})
    dry.add("shop.change", [("write", "a row")] * (MAX_PLANNED + 200))
    assert (len(dry.planned), dry.unlisted) == (MAX_PLANNED, 200)


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    return Command(environment, tmp_path)


def test_the_command_lists_what_a_model_would_have_been_asked(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.lua").write_text(
        "local answer = llm.complete{prompt = 'Say hello', model = 'nobody/nothing'}\n"
        "return #answer.content + answer.usage.total_tokens"
    )
    log = tmp_path / "audit.jsonl"
    done = command("run", "--dry-run", "--audit", str(log), "a.lua")
    assert done.stdout == (
        "0\n"
        "dry run: 1 effect planned, none had\n"
        '  spend   llm.complete(request: {model: "nobody/nothing", prompt: "Say hello"})\n'
    )
    assert json.loads(log.read_text().splitlines()[1])["outcome"] == "planned"
    document = json.loads(command("run", "--dry-run", "--json", "a.lua").stdout)
    assert document["dry_run"] is True
    assert [p["effect"] for p in document["planned"]] == ["spend"]
    (tmp_path / "b.lua").write_text("return 1")
    assert command("run", "--dry-run", "b.lua").stdout == (
        "1\ndry run: no effects planned, none had\n"
    )
