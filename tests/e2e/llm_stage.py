"""Where spells meet a scripted model: one supervisor with its zygotes, one server, one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeVar

from llmspell_supervisor import Config, LogEntry, Policy, RunReport, Spell, Supervisor
from llmspell_supervisor._pool import NO_POOL
from llmspell_testkit.model_server import ModelServer

Language = Literal["lua", "javascript"]
LANGUAGES: Final[tuple[Language, ...]] = ("lua", "javascript")
T = TypeVar("T")

ASK: Final[dict[Language, str]] = {
    "lua": """
        local ok, found = pcall(llm[params.method or "complete"], params.request)
        if ok then return {ok = true, value = found} end
        return {
            ok = false, kind = found.kind, message = found.message, retryable = found.retryable,
            retry_after = found.retry_after, field = found.field, duration = found.duration,
        }
    """,
    "javascript": """
        try {
            return {ok: true, value: await llm[params.method ?? "complete"](params.request)};
        } catch (e) {
            const found = {ok: false};
            for (const name of ["kind", "message", "retryable", "retry_after", "field", "duration"])
                if (e[name] !== undefined && e[name] !== null) found[name] = e[name];
            return found;
        }
    """,
}
"""Makes the call that the parameters describe, and returns what it gave or how it failed."""

FAIL: Final[dict[Language, str]] = {
    # Not `return llm...`: a tail call leaves no line behind.
    "lua": "local found = llm[params.method or 'complete'](params.request) return found",
    "javascript": "return await llm[params.method ?? 'complete'](params.request)",
}
"""The same, and an error is not caught."""


class Stage:
    """Runs spells in fresh workers of one supervisor."""

    def __init__(
        self, runner: asyncio.Runner, server: ModelServer, settings: Mapping[str, Any]
    ) -> None:
        self.server = server
        self.settings = settings
        self.priced: Stage = self
        """A stage at the same server whose provider has prices, where a test needs one."""
        self.on_log: Callable[[LogEntry], None] = lambda _: None
        self.supervisor = Supervisor(
            Config(bridges={"llm": settings}),
            pool=NO_POOL,  # which works on between runs, where tests look at what is left of one
            on_log=lambda entry: self.on_log(entry),  # noqa: PLW0108 - tests set it later
        )
        self._runner = runner

    def until(self, work: Awaitable[T]) -> T:
        """Wait for something on the supervisor's loop."""

        async def main() -> T:
            return await work

        return self._runner.run(main())

    def wait(self, event: Callable[[], object]) -> None:
        """Wait for something at the server while the loop goes on: it is what closes sockets."""
        assert self.until(asyncio.to_thread(event)) is not False

    async def start(
        self,
        language: Language,
        sources: Mapping[Language, str],
        *,
        params: Mapping[str, Any] | None = None,
        supervisor: Supervisor | None = None,
        **policy: Any,
    ) -> RunReport:
        """Run a spell, from a coroutine."""
        spell = Spell.from_text(sources[language], language, "spell")
        return await (supervisor or self.supervisor).run(
            spell, params=params, policy=Policy(**policy)
        )

    def run(self, language: Language, sources: Mapping[Language, str], **more: Any) -> RunReport:
        """Run a spell to its end."""
        return self.until(self.start(language, sources, **more))

    def ask(
        self, language: Language, request: Any, method: str = "complete", **more: Any
    ) -> dict[str, Any]:
        """Make one call from a spell: `{"ok": True, "value": ...}`, or its error as it saw it."""
        params = {"request": request, "method": method}
        report = self.run(language, ASK, params=params, **more)
        assert report.verdict == "ok", report.problem
        found: dict[str, Any] = report.value
        return found

    def fail(
        self, language: Language, request: Any, method: str = "complete", **more: Any
    ) -> RunReport:
        """Make one call whose error the spell does not catch."""
        return self.run(language, FAIL, params={"request": request, "method": method}, **more)

    def asked(self) -> list[dict[str, Any]]:
        """Bodies of the requests that have arrived."""
        return [received.body for received in self.server.requests]

    def clear(self) -> Stage:
        """Forget what an earlier test has left."""
        self.server.forget()
        self.on_log = lambda _: None
        return self


@contextmanager
def open_stage(**settings: Any) -> Iterator[Stage]:
    """A stage whose provider `test` is the server and answers when a spell names no model."""
    with ModelServer() as server, asyncio.Runner() as runner:
        given = {
            "default_model": "test/default",
            "embed_model": "test/embedder",
            **settings,
            "providers": {
                "test": {"base_url": server.base_url},
                **settings.get("providers", {}),
            },
        }
        stage = Stage(runner, server, given)
        stage.until(stage.supervisor.__aenter__())
        try:
            yield stage
        finally:
            stage.until(stage.supervisor.__aexit__())
