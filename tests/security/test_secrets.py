"""A provider's key reaches no worker, no log, no report, no error and no `repr`.

The provider is hostile: it echoes the key in bodies, pieces of streams and errors. Everything that
crosses the pipe is searched, and the memory of the worker and of its zygote while they live.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from llmspell_protocol import Connection, HostMessage, Role
from llmspell_supervisor import Config, Policy, Spell, Supervisor
from llmspell_supervisor._run import Run
from llmspell_supervisor._worker import Worker
from llmspell_testkit.model_server import Answer, Bytes, Gate, ModelServer, Refusal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:::(pydantic|litellm|openai)"),
]

KEY: Final = "sk-canary-" + "0123456789abcdef" * 2
TOKEN: Final = "canary-token-" + "fedcba9876543210" * 2
"""Of another service, in the environment as well."""
MODEL: Final = "test/m"
SOURCES: Final = {
    "lua": """
        local found = {}
        for i = 1, 5 do
            local ok, got = pcall(llm.complete, {prompt = "x", retries = {attempts = 1}})
            found[#found + 1] = ok and json.encode(got) or got.kind .. got.message
            if not ok and got.field then found[#found + 1] = got.field end
        end
        for piece in llm.stream({prompt = "x"}) do found[#found + 1] = json.encode(piece) end
        console.log(table.concat(found, " "))
        llm.complete("wait")
        error(found[#found] .. found[2])
    """,
    "javascript": """
        const found = [];
        for (let i = 0; i < 5; i++) {
            try {
                found.push(JSON.stringify(await llm.complete({prompt: "x", retries: {attempts: 1}})));
            } catch (e) { found.push(e.kind + e.message + e.field + e.stack); }
        }
        for await (const piece of llm.stream({prompt: "x"})) found.push(JSON.stringify(piece));
        console.log(found.join(" "));
        await llm.complete("wait");
        throw new Error(found.at(-1) + found[1]);
    """,
}


class _Taped(Connection):
    """The supervisor's end of a wire, with all that passed."""

    def __init__(self, caps: Any, tape: bytearray) -> None:
        super().__init__(Role.HOST, caps)
        self.tape = tape

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        self.tape += data
        super().receive_data(data)

    def send(self, message: HostMessage) -> bytearray:  # type: ignore[override]
        frame = super().send(message)
        self.tape += frame
        return frame


def echoes(gate: Gate) -> list[Any]:
    """Answers of a provider that gives the key away in every place that it has."""
    body = {"error": {"message": f"bad {KEY}", "param": KEY, "code": KEY, "type": TOKEN}}
    half = len(KEY) // 2
    return [
        Answer(f"you sent {KEY} and {TOKEN}"),
        Refusal(401, f"wrong key: {KEY} {TOKEN}", code=KEY),
        Bytes(msgspec.json.encode(body), status=400),
        Answer("", tool_calls=((f"tool {KEY}", f'{{"a": "{KEY}"}}'),)),
        Bytes(f"<html>{KEY}{TOKEN}".encode(), "text/html", 502),
        Answer(pieces=("the key is ", KEY[:half], KEY[half:], " and ", *TOKEN, ".")),
        Answer("waited", gate=gate),
    ]


class Heard:
    """What came of one spell at the hostile provider."""

    def __init__(self) -> None:
        self.tape = bytearray()
        self.memory: dict[str, bytes] = {}
        self.texts: dict[str, str] = {}

    def where(self) -> list[str]:
        """The places that hold a secret."""
        wanted = (KEY.encode(), TOKEN.encode())
        texts = {name: text.encode() for name, text in self.texts.items()}
        places = {"the wire": bytes(self.tape), **self.memory, **texts}
        return [name for name, data in places.items() if any(w in data for w in wanted)]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def server(gate: Gate) -> Iterator[ModelServer]:
    with ModelServer() as found:
        found.script("m", *echoes(gate))
        yield found


async def listen(server: ModelServer, gate: Gate, engine: str, *, dump: bool) -> Heard:
    heard = Heard()
    workers: list[Worker] = []

    class Taped(Run):
        def _connect(self) -> Connection:
            return _Taped(self._caps(), heard.tape)

        def _open(self, worker: Worker) -> None:
            workers.append(worker)
            super()._open(worker)

    settings = {
        "default_model": MODEL,
        "providers": {
            "test": {
                "base_url": server.base_url,
                "api_key_env": "OPENAI_API_KEY",
            }
        },
    }
    supervisor = Supervisor(Config(bridges={"llm": settings}))
    supervisor._run_type = Taped
    spell = Spell.from_text(SOURCES[engine], engine, "spell")

    def look(_: object) -> None:  # at the log entry, when the spell has heard everything
        if dump:
            pid = workers[0].pid
            heard.memory = {"the worker": memory_of(pid), "its zygote": memory_of(parent_of(pid))}
        heard.texts["reprs"] = "\n".join(reprs())
        gate.open()

    supervisor._on_log = look
    async with supervisor:
        report = await supervisor.run(spell, policy=Policy(timeout=60))
    assert report.verdict == "script_error", report.problem
    assert report.logs, report.problem
    assert len(server.requests) == 7
    assert any(KEY in r.headers.get("authorization", "") for r in server.requests)
    heard.texts["the report"] = repr(report)
    heard.texts["its JSON"] = msgspec.json.encode(report).decode()
    return heard


def reprs() -> Iterator[str]:
    """Of every object of ours that lives; the scripted model's, which the key is sent to, are not."""
    for found in gc.get_objects():
        module = str(type(found).__module__)
        if module.startswith("llmspell_") and not module.startswith("llmspell_testkit"):
            with contextlib.suppress(Exception):
                yield repr(found)


def memory_of(pid: int) -> bytes:
    """All that a live process has and we may read."""
    pieces = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if bounds is None or "[v" in line:  # the kernel's own pages
                continue
            start, end = (int(part, 16) for part in bounds.groups())
            with contextlib.suppress(OSError):
                memory.seek(start)
                pieces.append(memory.read(end - start))
    return b"".join(pieces)


def parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"PPid:\s+(\d+)", status)[1])  # type: ignore[index]


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_key_that_the_provider_echoes_reaches_nothing_that_a_spell_can_read(
    server: ModelServer,
    gate: Gate,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HOUSE_TOKEN", TOKEN)
    dump = os.geteuid() == 0
    with caplog.at_level(logging.DEBUG, logger="llmspell_supervisor"):
        heard = asyncio.run(listen(server, gate, engine, dump=dump))
    heard.texts["logs"] = caplog.text
    heard.texts["output"] = "".join(capfd.readouterr())
    assert heard.where() == []
    assert b"***" in heard.tape
    if dump:  # the search finds what is there
        assert b"console.log" in heard.memory["the worker"]
        assert len(heard.memory["its zygote"]) > 1 << 20


def test_the_search_through_memory_finds_what_is_there() -> None:
    held = os.urandom(32)
    assert held in memory_of(os.getpid())
