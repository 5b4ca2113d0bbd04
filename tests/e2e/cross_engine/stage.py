"""Where cases run: one supervisor with its zygotes, the echo bridge, and a scripted model."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from llmspell_supervisor import Config, Policy, Problem, RunReport, Spell, Supervisor
from llmspell_testkit import EchoBridge, exact
from llmspell_testkit.model_server import ModelServer, Received
from tests.e2e.cross_engine.case import Case, Failed, Language
from tests.e2e.cross_engine.data_stage import data_settings
from tests.e2e.cross_engine.puppet_bridge import PuppetBridge
from tests.support.mcp_servers import ledger
from tests.support.search_server import SearchServer
from tests.support.web_server import Reply, Request, WebServer, page

LANGUAGES: tuple[Language, ...] = ("lua", "javascript")
MODEL = "model"
SPELL = "spell"
"""Errors name the spell; a suffix would make them differ."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run, in a form that can be compared."""

    verdict: str
    value: str
    failed: Failed | None
    logs: tuple[str, ...]
    calls: dict[str, int]
    requests: list[dict[str, Any]]
    """Bodies that reached the model's server."""


class Stage:
    """Runs cases, one after the other."""

    def __init__(
        self,
        runner: asyncio.Runner,
        supervisor: Supervisor,
        server: ModelServer,
        web: WebServer,
        log: Path,
    ) -> None:
        self.log = log
        """The audit log of the supervisor."""
        self._runner = runner
        self._supervisor = supervisor
        self._server = server
        self._web = web

    def run(self, case: Case) -> dict[Language, Outcome]:
        """Run a case in each language, each in a fresh worker."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in case.environment.items():
                patch.setenv(name, value)
            return self._runner.run(self._each(case))

    async def _each(self, case: Case) -> dict[Language, Outcome]:
        if case.answers:  # of one server, so one after the other
            return {language: await self._perform(case, language) for language in LANGUAGES}
        outcomes = await asyncio.gather(*(self._perform(case, name) for name in LANGUAGES))
        return dict(zip(LANGUAGES, outcomes, strict=True))

    async def _perform(self, case: Case, language: Language) -> Outcome:
        server, seen = self._server, len(self._server.requests)
        server.script(MODEL, *case.answers)
        spell = Spell.from_text(case.source(language), language, SPELL)
        with tempfile.TemporaryDirectory(prefix="llmspell-case-") as folder:
            granted = {"allow_bridges": ("llm", "tools", "echo", "puppet"), **case.policy}
            if case.folder:
                places = {"allow_read": (folder,), "allow_write": (folder,)}
                granted = {**granted, **places, "allow_bridges": ("fs", "tools")}
            params = case.params
            if case.web:
                domains = ("127.0.0.1", "localhost")
                granted = {**granted, "allow_bridges": ("http", "tools"), "allow_domain": domains}
                params = {**params, "web": f"http://127.0.0.1:{self._web.port}"}
            policy = Policy(**granted)
            report = await self._supervisor.run(spell, params=params, policy=policy)
        requests = [received.body for received in server.requests[seen:]]
        requests.sort(key=json.dumps)  # calls that are open together arrive in any order
        for _ in case.answers[len(requests) :]:  # or the next case would get them
            server.take(Received("", {}, {"model": MODEL}))
        return _outcome(report, requests)


def _outcome(report: RunReport, requests: list[dict[str, Any]]) -> Outcome:
    return Outcome(
        verdict=report.verdict,
        value=exact(report.value),
        failed=_failed(report.problem),
        logs=tuple(f"{entry.level}: {entry.text}" for entry in report.logs),
        calls=report.usage.calls,
        requests=requests,
    )


def _failed(problem: Problem | None) -> Failed | None:
    if problem is None:
        return None
    error = problem.error
    if error is None:  # a limit: its message is the supervisor's
        return Failed(message=problem.message)
    # Only when nothing was run is a column something that every language knows.
    syntax = problem.hint == "the spell was not run"
    return Failed(
        message=error.message,
        kind=error.kind,
        line=problem.line,
        column=problem.column if syntax else None,
        retryable=error.retryable,
        retry_after=error.retry_after,
        field=error.field,
        duration=error.duration,
    )


def _replies() -> dict[str, Reply]:
    """What the web server answers."""

    def echo(request: Request) -> bytes:
        mine = request.headers.get("x-mine", "-")
        seen = {"method": request.method, "path": request.path, "mine": mine}
        return page(json.dumps({**seen, "body": request.body.decode()}).encode())

    def chunked(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        yield b"3\r\nGr\xc3\r\n4\r\n\xbc\xc3\x9fe\r\n0\r\n\r\n"

    return {
        "/hello": page(b"hello", x_one="1"),
        "/head": b"HTTP/1.1 200 OK\r\nx-one: 1\r\n\r\n",
        "/echo": echo,
        "/mirror": lambda request: page(request.body),
        "/chunked": chunked,
        "/secret": lambda request: page(request.headers["authorization"].encode()),
    }


@contextmanager
def open_stage() -> Iterator[Stage]:
    """A stage with everything that it needs; all of it is gone afterwards."""
    with (
        ModelServer() as server,
        WebServer(_replies()) as web,
        SearchServer() as search,
        asyncio.Runner() as runner,
        data_settings() as data,
        TemporaryDirectory() as state,
    ):
        provider = {"base_url": server.base_url, "max_retries": 0}
        settings = {
            "default_model": f"scripted/{MODEL}",
            "embed_model": f"scripted/{MODEL}",
            "aliases": {"writer": f"scripted/{MODEL}"},
            "providers": {"scripted": provider},
        }
        mine = {"value_env": "CROSS_ENGINE_TOKEN", "scheme": "http", "host": "127.0.0.1",
                "port": web.port}  # fmt: skip
        permitted = [f"127.0.0.1:{web.port}"]
        http = {"allow_private": permitted, "secrets": {"mine": mine}, "rate": 1000}
        kept = {"directory": state}
        servers = {"servers": {"ledger": ledger()}}
        ours: dict[str, Any] = {
            "llm": settings,
            "http": http,
            "workflow": kept,
            "mcp": servers,
            "tools": {"search_provider": "searxng", "search_url": search.url},
        }
        log = Path(state) / "audit.jsonl"
        supervisor = Supervisor(Config(bridges={**ours, **data}), audit=str(log))
        runner.run(supervisor.__aenter__())
        supervisor.bridges.add(EchoBridge())
        supervisor.bridges.add(PuppetBridge())
        try:
            yield Stage(runner, supervisor, server, web, log)
        finally:
            runner.run(supervisor.__aexit__())
