"""A host for workflows whose functions are Python's: the wire, the policy and the bridge are real."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import msgspec

from llmspell_bridges import Bridge, ScriptError
from llmspell_bridges.workflow import WorkflowBridge, WorkflowConfig
from llmspell_protocol import ErrorInfo
from tests.bridges.host import Host


class Functions:
    """Stands for the script of a run: what `CallContext.invoke` calls."""

    def __init__(self) -> None:
        self._functions: list[Callable[..., Any]] = []

    def add(self, function: Callable[..., Any]) -> dict[str, int]:
        """A function, as it crosses."""
        self._functions.append(function)
        return {"@function": len(self._functions)}

    async def invoke(self, function: int, args: bytes) -> bytes:
        """Call one, be it a coroutine or not."""
        try:
            found = self._functions[function - 1](*msgspec.msgpack.decode(args))
            if inspect.isawaitable(found):
                found = await found
        except ArithmeticError as error:  # what a test makes fail
            raise ScriptError(ErrorInfo("Internal", str(error))) from error
        return msgspec.msgpack.encode(found)


class Flow:
    """A workflow of the bridge, as a script holds it."""

    def __init__(self, stage: Stage, number: int) -> None:
        self._stage = stage
        self._number = number

    async def step(
        self, name: str, function: Callable[..., Any] | None = None, **more: Any
    ) -> Flow:
        """Add a step."""
        given = {"run": self._stage.functions.add(function)} if function else {}
        await self._call("add_step", {"name": name, **given, **more})
        return self

    async def run(self, values: dict[str, Any] | None = None, **options: Any) -> Any:
        """Run it."""
        return await self._call("run", values or {}, options)

    @contextlib.asynccontextmanager
    async def progress(self) -> AsyncGenerator[AsyncGenerator[Any, None], None]:
        """Run it, and read what it tells."""
        stream = self._stage.host.open("workflow.flow.run_with_progress", self._number)

        async def events() -> AsyncGenerator[Any, None]:
            async for chunk in stream:
                yield msgspec.msgpack.decode(chunk)

        async with contextlib.aclosing(events()) as found:
            yield found
        await stream.aclose()

    async def resume(self, run: str) -> Any:
        """Go on with a kept run."""
        return await self._call("resume", run)

    async def validate(self) -> list[str]:
        """What keeps it from running: `step: message`."""
        found = (await self._call("validate"))["problems"]
        return [f"{problem.get('step', '-')}: {problem['message']}" for problem in found]

    @property
    def handle(self) -> dict[str, int]:
        """It as an argument."""
        return {"@object": self._number}

    async def _call(self, method: str, *args: Any) -> Any:
        return await self._stage.host.call(f"workflow.flow.{method}", self._number, *args)


class Stage:
    """Makes workflows. A second one on the same folder is the same spell in another run."""

    def __init__(self, folder: Path, *bridges: Bridge, **policy: Any) -> None:
        bridge = WorkflowBridge(WorkflowConfig(directory=str(folder)))
        self.functions = Functions()
        self.host = Host(bridge, *bridges, **policy)
        self.host.context = msgspec.structs.replace(
            self.host.context,
            script=self.functions,
            bridges={other.name: other for other in bridges},
        )

    async def flow(self, kind: str = "sequential", **options: Any) -> Flow:
        """A workflow without steps."""
        given = {k: self.functions.add(v) if callable(v) else v for k, v in options.items()}
        return Flow(self, await self.host.call(f"workflow.{kind}", given))

    def run(self, work: Callable[[], Any]) -> Any:
        """Run `work` on an event loop of its own."""
        return self.host.run(work)


class Meeting:
    """A place where several wait for each other; it counts the most that were there at once."""

    def __init__(self, people: int) -> None:
        self.most = 0
        self._here = 0
        self._met = asyncio.Event()
        self._people = people

    async def attend(self, _: Any) -> None:
        """Come, wait for the others, go."""
        self._here += 1
        self.most = max(self.most, self._here)
        if self._here == self._people:
            self._met.set()
        await self._met.wait()
        await asyncio.sleep(0)  # whoever may come now, comes
        self._here -= 1
