"""Runs spells for tests: one supervisor with its zygotes, driven without an event loop of one's own.

with Stage(RecordingBridge("weather", today="sun")) as stage:
    assert stage.run("return weather.today()", "lua").value == "sun"
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from llmspell_bridges import Bridge
from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor

if TYPE_CHECKING:
    from .model_server import ModelServer

T = TypeVar("T")

NAME: Final = "spell"
"""Errors name the spell; a suffix would make them differ from language to language."""
PATIENCE: Final = 30.0
"""Seconds within which what must end has to: long enough for a loaded machine."""


class Stage:
    """One supervisor for many tests. Open between `__enter__` and `__exit__`.

    `bridges` are added to those that are installed, and granted to every run unless its policy says
    otherwise.
    """

    MODEL: ClassVar[str] = "model"

    def __init__(self, *bridges: Bridge, config: Config | None = None) -> None:
        self._bridges = bridges
        self._config = config
        self._names: list[str] = []
        self._watch: Callable[[str], None] | None = None
        self.model: ModelServer | None = None
        """The server that answers for the model `MODEL`, where cases need one."""

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._runner.__enter__()
        self.supervisor = Supervisor(self._config, on_activity=self._activity)
        self.do(self.supervisor.__aenter__())
        for bridge in self._bridges:
            self._add(bridge)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.do(self.supervisor.__aexit__())
        finally:
            self._runner.__exit__(None, None, None)

    def _activity(self, what: str) -> None:
        if self._watch is not None:
            self._watch(what)

    def _add(self, bridge: Bridge) -> None:
        self.supervisor.bridges.add(bridge)
        self._names.append(bridge.name)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something on the supervisor's event loop."""
        return self._runner.run(work)

    @contextlib.contextmanager
    def having(self, *bridges: Bridge) -> Iterator[Self]:
        """The same stage, with more bridges; they are closed and forgotten at the end of the block."""
        for bridge in bridges:
            self._add(bridge)
        try:
            yield self
        finally:
            for bridge in bridges:
                self._names.remove(bridge.name)
                self.do(self.supervisor.bridges.remove(bridge.name))

    def policy(self, **fields: Any) -> Policy:
        """A policy that grants what this stage has, unless `fields` say otherwise."""
        return Policy(**{"allow_bridges": tuple(self._names), **fields})

    async def begin(
        self,
        source: str,
        engine: str,
        *,
        params: Mapping[str, Any] | None = None,
        name: str = NAME,
        **policy: Any,
    ) -> RunReport:
        """Run a spell, for a test that has several under way; `policy` as in `Policy`."""
        spell = Spell.from_text(source, engine, name)
        granted = self.policy(**policy)
        return await self.supervisor.run(spell, params=params, policy=granted)

    def run(
        self,
        source: str,
        engine: str,
        *,
        params: Mapping[str, Any] | None = None,
        name: str = NAME,
        **policy: Any,
    ) -> RunReport:
        """Run a spell to its end, and return the report whatever it did."""
        return self.do(self.begin(source, engine, params=params, name=name, **policy))

    def together(self, work: Iterable[Awaitable[T]]) -> list[T]:
        """What all of `work` comes to, begun at once, in its order."""

        async def gather() -> list[T]:
            return await asyncio.gather(*work)

        return self.do(gather())

    def cancel(self, source: str, engine: str, *, after: str, **policy: Any) -> RunReport:
        """Run a spell and cancel it once its call of the method `after` has been answered.

        Raises `TimeoutError` if it has not ended `PATIENCE` seconds after it began.
        """
        seen: list[str] = []

        def watch(what: str) -> None:
            if what == "running" and seen and seen[-1] == after:
                self.supervisor.cancel_all()
            seen.append(what)

        async def cancelled() -> RunReport:
            async with asyncio.timeout(PATIENCE):
                return await self.begin(source, engine, **{"timeout": 4 * PATIENCE, **policy})

        self._watch = watch
        try:
            return self.do(cancelled())
        finally:
            self._watch = None
