"""One run of a workflow, from its input or from where it stopped, to its result."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from .._errors import BridgeError
from .._interface import End
from . import _graph
from ._plan import Plan, differences
from ._steps import Performer
from ._store import About, Store
from ._types import Progress, StepResult, WorkflowResult

if TYPE_CHECKING:
    from ._store import Kept

Happening = Progress | End[WorkflowResult]

_MOST_DIFFERENCES: Final = 3
"""Of the ways in which a workflow has changed, those that the error names."""


async def begin(
    performer: Performer, plan: Plan, given: dict[str, Any], run: str | None, store: Store | None
) -> AsyncGenerator[Happening, None]:
    """Run a plan on an input; kept under `run` in `store`, if there is one. Ends with `End`."""
    if store is None or run is None:
        async with contextlib.aclosing(_go(performer, plan, given, uuid.uuid4().hex)) as happenings:
            async for happening in happenings:
                yield happening
        return
    about = About(workflow=plan.options.name, shape=plan.shape(), input=given)
    async with (
        store.begin(run, about) as kept,
        contextlib.aclosing(_go(performer, plan, given, run, kept)) as happenings,
    ):
        async for happening in happenings:
            yield happening


async def resume(
    performer: Performer, plan: Plan, run: str, store: Store
) -> AsyncGenerator[Happening, None]:
    """Go on with a kept run. A finished one gives its result again. Ends with `End`."""
    async with store.reopen(run) as kept:
        if changed := differences(kept.about.shape, plan.shape()):
            what = "; ".join(changed[:_MOST_DIFFERENCES])
            message = f"this run is of another workflow: {what}"
            raise BridgeError("Validation", message, field="id")
        given = kept.about.input
        async with contextlib.aclosing(_go(performer, plan, given, run, kept)) as happenings:
            async for happening in happenings:
                yield happening


async def _go(
    performer: Performer, plan: Plan, given: dict[str, Any], run: str, kept: Kept | None = None
) -> AsyncGenerator[Happening, None]:
    began = time.monotonic()
    config: Any = {"configurable": {"thread_id": run}, **_graph.limits(plan, performer)}
    checkpoints = kept.checkpoints if kept else None
    graph = _graph.build(plan, performer, checkpoints)
    # What was stopped before its first checkpoint has done nothing, and begins.
    begun = await checkpoints.aget_tuple(config) if checkpoints else None
    yield Progress(event="started", id=run)
    state: Any = None
    streaming = graph.astream(
        None if begun else _graph.first_state(given),
        config,
        stream_mode=["custom", "values"],
        subgraphs=True,
        durability="sync" if kept else None,
    )
    async with contextlib.aclosing(streaming) as parts:  # type: ignore[type-var]
        part: Any
        async for part in parts:
            place, mode, found = part
            if mode == "custom":
                yield replace(found, step=".".join([*_outer(place), found.step]))
            elif not place:
                state = found
    if kept:
        await kept.finish()
    yield End(_result(plan, state, run, time.monotonic() - began))


def _outer(place: tuple[str, ...]) -> list[str]:
    """Names of the steps around a step, from LangGraph's name of a nested run."""
    return [_graph.step_of(node.partition(":")[0]) for node in place]


def _result(plan: Plan, state: _graph.State, run: str, duration: float) -> WorkflowResult:
    steps = state["steps"]
    return WorkflowResult(
        id=run,
        name=plan.options.name,
        status="completed",
        input=state["input"],
        output=_graph.output_of(plan, state),
        steps={n: msgspec.convert(steps[n], StepResult) for n in plan.names if n in steps},
        duration=duration,
        usage=_graph.usage_of(steps),
    )
