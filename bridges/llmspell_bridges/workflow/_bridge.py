"""The bridge `workflow`: checks, renders and keeps; LangGraph runs the graphs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .._clock import off_the_clock
from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, method
from .._kept import owner
from .._objects import BridgeObject
from ..toolbox import Schema
from ._config import WorkflowConfig
from ._flow import Flow
from ._library import engine
from ._sources import Sources
from ._types import (
    ConditionalOptions,
    DagOptions,
    Event,
    KeptRun,
    Kind,
    LoopOptions,
    Options,
    ParallelOptions,
    RunId,
    Source,
)

if TYPE_CHECKING:
    from ._store import Store


_PLAIN: Final = Options()
_PARALLEL: Final = ParallelOptions()
_DAG: Final = DagOptions()


class WorkflowBridge(Bridge):
    """Workflows: steps one after the other, at once, by choice, in rounds, or by what they need."""

    name: ClassVar[str] = "workflow"
    config: ClassVar[type[BridgeConfig]] = WorkflowConfig
    objects: ClassVar[tuple[type[BridgeObject], ...]] = (Flow,)

    def __init__(self, config: WorkflowConfig) -> None:
        """Keep what the operator configured."""
        self._config = config
        self._sources = Sources(config)

    async def close(self) -> None:
        """Stop listening for webhooks."""
        await self._sources.close()

    @method(effect="read")
    async def sequential(self, ctx: CallContext, options: Options = _PLAIN) -> Flow:  # noqa: ARG002 - all take it
        """A workflow whose steps run one after the other. Gives what the last one gives."""
        return await self._flow("sequential", options)

    @method(effect="read")
    async def parallel(self, ctx: CallContext, options: ParallelOptions = _PARALLEL) -> Flow:  # noqa: ARG002 - all take it
        """A workflow whose steps run at the same time. Gives a map of outputs, or their aggregate."""
        return await self._flow("parallel", options)

    @method(effect="read")
    async def conditional(self, ctx: CallContext, options: ConditionalOptions) -> Flow:  # noqa: ARG002 - all take it
        """A workflow of which one step runs. Gives what that one gives."""
        return await self._flow("conditional", options)

    @method(effect="read")
    async def loop(self, ctx: CallContext, options: LoopOptions) -> Flow:  # noqa: ARG002 - all take it
        """A workflow that runs its steps again and again. Gives a list of each round's output."""
        ways = ("over", "times", "condition")
        given = [way for way in ways if getattr(options, way) is not None]
        if len(given) != 1:
            said = f"not {' and '.join(given)}" if given else "and there is none"
            message = f"a loop has one of over, times and condition, {said}"
            raise BridgeError("Validation", message, field=given[1] if given else "over")
        return await self._flow("loop", options)

    @method(effect="read")
    async def dag(self, ctx: CallContext, options: DagOptions = _DAG) -> Flow:  # noqa: ARG002 - all take it
        """A workflow whose steps say what they come after. Gives what the last ones give."""
        return await self._flow("dag", options)

    @method(effect="read")
    async def runs(self, ctx: CallContext) -> list[KeptRun]:
        """The kept runs of this spell, the latest first."""
        store = await self._store(ctx)
        return await asyncio.to_thread(store.runs)

    @method(effect="write")
    async def forget(self, ctx: CallContext, id: RunId) -> bool:  # noqa: A002 - what scripts call it
        """Delete a kept run. False when there is none of that name."""
        store = await self._store(ctx)
        return await asyncio.to_thread(store.forget, id)

    @method(effect="read")
    async def watch(self, ctx: CallContext, source: Source) -> AsyncIterator[Event]:
        """The events of a source, as they happen, until the spell closes the stream."""
        async with contextlib.aclosing(self._sources.events(ctx, source)) as events:
            while True:
                with off_the_clock():  # it waits for the world
                    event = await anext(events, None)
                if event is None:
                    return
                yield event

    async def _flow(self, kind: Kind, options: Options) -> Flow:
        schema = None if options.input is None else await Schema.of(options.input, "input")
        return Flow(kind, options, schema, self._config, self._sources)

    async def _store(self, ctx: CallContext) -> Store:
        execution: Any = await engine()
        store: Store = execution.Store(self._config, owner(self._config, ctx))
        return store
