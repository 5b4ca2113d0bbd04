"""A workflow as scripts hold it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import msgspec
from msgspec import Struct

from .._clock import off_the_clock
from .._context import CallContext
from .._errors import BridgeError
from .._interface import End, method
from .._kept import owner
from .._objects import BridgeObject
from ..llm.agents import Agent
from ..toolbox import Schema
from ._library import engine, templates
from ._plan import MAX_DEPTH, Deed, Part, Plan, check_step, problems
from ._steps import Performer
from ._types import (
    Event,
    Fallback,
    Kind,
    Metadata,
    Options,
    Progress,
    RunId,
    RunOptions,
    Source,
    Step,
    Validation,
    WorkflowResult,
)

if TYPE_CHECKING:
    from ._config import WorkflowConfig
    from ._execution import Happening
    from ._sources import Sources

T = TypeVar("T")

_UNKEPT: Final = RunOptions()
_NOTHING: Final[dict[str, Any]] = {}

MAX_STEPS: Final = 256
"""Steps of one workflow: far above what people write, and compiled in a tenth of a second."""
MAX_IN_ALL: Final = 1024
"""Steps of a workflow and of those inside it, each as often as it is a step: what holds itself
twice over eight levels would be without end."""


class Flow(BridgeObject):
    """A workflow: steps, and how they follow each other."""

    name: ClassVar[str] = "flow"

    def __init__(
        self,
        kind: Kind,
        options: Options,
        schema: Schema | None,
        config: WorkflowConfig,
        sources: Sources,
    ) -> None:
        self._kind = kind
        self._options = options
        self._schema = schema
        self._config = config
        self._sources = sources
        self._parts: list[tuple[Step, list[_Work]]] = []
        self._adding = asyncio.Lock()
        """JavaScript need not await a step: they are added in order, and all before a run."""

    @method(effect="read")
    async def add_step(self, ctx: CallContext, step: Step) -> None:
        """Add a step. In a loop it is a step of each round; in a conditional one of its branches."""
        async with self._adding:
            await templates()
            if len(self._parts) >= MAX_STEPS:
                raise BridgeError("Limit", f"a workflow has at most {MAX_STEPS} steps")
            check_step(self._kind, step, [known.name for known, _ in self._parts])
            works = [await _Work.of(ctx, step)]
            if isinstance(step.on_error, Fallback):
                works.append(await _Work.of(ctx, step.on_error))
            self._parts.append((step, works))

    @method(effect="read")
    async def validate(self, ctx: CallContext) -> Validation:  # noqa: ARG002 - all take it
        """Whether it can run: unknown steps, circles, steps that are never reached."""
        found = problems(await self._whole())
        return Validation(valid=not found, problems=found)

    @method(effect="read")
    async def metadata(self, ctx: CallContext) -> Metadata:  # noqa: ARG002 - all take it
        """Its name, its kind and its steps, with the workflows inside it."""
        return (await self._whole()).metadata()

    @method(effect="spend")
    async def run(
        self, ctx: CallContext, values: dict[str, Any] = _NOTHING, options: RunOptions = _UNKEPT
    ) -> WorkflowResult:
        """Run it on some values, and give the results of all steps."""
        return await _last(self._begin(ctx, values, options))

    @method(effect="spend")
    async def run_with_progress(
        self, ctx: CallContext, values: dict[str, Any] = _NOTHING, options: RunOptions = _UNKEPT
    ) -> AsyncIterator[Progress | End[WorkflowResult]]:
        """Run it, and tell of each step as it begins and ends. Closes with the result."""
        async with contextlib.aclosing(_awaited(self._begin(ctx, values, options))) as found:
            async for happening in found:
                yield happening

    @method(effect="spend")
    async def resume(self, ctx: CallContext, id: RunId) -> WorkflowResult:  # noqa: A002 - what scripts call it
        """Go on with a kept run that was stopped. Steps that were finished are not run again."""
        return await _last(self._resume(ctx, id))

    @method(effect="spend")
    async def resume_with_progress(
        self,
        ctx: CallContext,
        id: RunId,  # noqa: A002 - what scripts call it
    ) -> AsyncIterator[Progress | End[WorkflowResult]]:
        """Go on with a kept run, and tell of each step. Closes with the result."""
        async with contextlib.aclosing(_awaited(self._resume(ctx, id))) as found:
            async for happening in found:
                yield happening

    @method(effect="spend")
    async def on(self, ctx: CallContext, source: Source) -> AsyncIterator[WorkflowResult]:
        """Run it for each event of a source, with the event as its input, until told to stop."""
        async with contextlib.aclosing(_awaited(self._react(ctx, source))) as results:
            async for result in results:
                yield result

    def plan(self, outer: _Outer | None = None) -> Plan:
        """It and what is inside it, as they are now.

        Raises `BridgeError` if it is inside itself, or too much is inside it.
        """
        within = _Outer((), itertools.count(1)) if outer is None else outer
        inner = within.enter(self, self._options.name)
        parts = []
        for step, works in self._parts:
            inner.count()
            deed, *instead = [work.deed(inner) for work in works]
            parts.append(Part(step=step, deed=deed, instead=instead[0] if instead else None))
        return Plan(kind=self._kind, options=self._options, input=self._schema, parts=tuple(parts))

    async def _whole(self) -> Plan:
        """Its plan, with the steps that are being added."""
        async with self._adding:
            await templates()
            return self.plan()

    async def _sound(self) -> Plan:
        """Its plan. Raises `BridgeError` for the first thing that keeps it from running."""
        plan = await self._whole()
        for problem in problems(plan):
            where = f"step '{problem.step}': " if problem.step else ""
            raise BridgeError(
                "Validation", f"{where}{problem.message}", field=problem.field or None
            )
        return plan

    async def _begin(
        self, ctx: CallContext, values: dict[str, Any], options: RunOptions
    ) -> AsyncGenerator[Happening, None]:
        plan = await self._sound()
        if plan.input:
            await plan.input.check(values, "input")
        execution = await engine()
        store = execution.Store(self._config, owner(self._config, ctx)) if options.id else None
        begun = execution.begin(Performer(ctx), plan, values, options.id, store)
        async with contextlib.aclosing(begun) as happenings:
            async for happening in happenings:
                yield happening

    async def _resume(self, ctx: CallContext, run: str) -> AsyncGenerator[Happening, None]:
        plan = await self._sound()
        execution = await engine()
        store = execution.Store(self._config, owner(self._config, ctx))
        resumed = execution.resume(Performer(ctx), plan, run, store)
        async with contextlib.aclosing(resumed) as happenings:
            async for happening in happenings:
                yield happening

    async def _react(
        self, ctx: CallContext, source: Source
    ) -> AsyncGenerator[WorkflowResult, None]:
        async with contextlib.aclosing(self._sources.events(ctx, source)) as events:
            async for event in events:
                if event.event != "ready":
                    yield await _last(self._begin(ctx, {"event": _plain(event)}, RunOptions()))


async def _awaited(things: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same, off the clock of the call: each piece of the work has one of its own."""
    async with contextlib.aclosing(things):
        while True:
            with off_the_clock():
                thing = await anext(things, None)
            if thing is None:
                return
            yield thing


async def _last(happenings: AsyncGenerator[Happening, None]) -> WorkflowResult:
    """The result at the end of a run."""
    with off_the_clock():  # each piece of the work has a clock of its own
        async with contextlib.aclosing(happenings):
            async for happening in happenings:
                if isinstance(happening, End):
                    return happening.value
    raise AssertionError("a run that ends without a result")


class _Outer(Struct, frozen=True):
    """The workflows around a step, and how many steps there have been in all."""

    flows: tuple[Flow, ...]
    numbers: Iterator[int]

    def enter(self, flow: Flow, name: str) -> _Outer:
        """The same, with `flow` inside. Raises `BridgeError`."""
        if flow in self.flows:
            message = f"workflow '{name}' is a step of itself"
            raise BridgeError("Validation", message, field="workflow")
        if len(self.flows) >= MAX_DEPTH:
            raise BridgeError("Limit", f"workflows are nested over {MAX_DEPTH} deep")
        return _Outer((*self.flows, flow), self.numbers)

    def count(self) -> None:
        """Take note of one more step. Raises `BridgeError`."""
        if next(self.numbers) > MAX_IN_ALL:
            raise BridgeError("Limit", f"workflows inside each other have over {MAX_IN_ALL} steps")


class _Work(Struct, frozen=True, kw_only=True):
    """What a step does, with what its handles stand for."""

    work: Step | Fallback
    output: Schema | None
    agent: Agent | None
    flow: Flow | None

    @classmethod
    async def of(cls, ctx: CallContext, work: Step | Fallback) -> _Work:
        """Raises `BridgeError` for a handle that stands for nothing, or no schema."""
        schema = None if work.output is None else await Schema.of(work.output, "output")
        return cls(
            work=work,
            output=schema,
            agent=ctx.object(work.agent, Agent, "agent") if work.agent else None,
            flow=ctx.object(work.workflow, Flow, "workflow") if work.workflow else None,
        )

    def deed(self, outer: _Outer) -> Deed:
        """The same in a plan."""
        inside = self.flow.plan(outer) if self.flow else None
        return Deed(work=self.work, output=self.output, agent=self.agent, workflow=inside)


def _plain(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    return found
