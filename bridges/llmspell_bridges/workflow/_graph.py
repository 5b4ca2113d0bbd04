"""From a plan to a graph of LangGraph's, which runs it. Loaded by `_library.engine`."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Annotated, Any, Final, TypedDict

import msgspec
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from msgspec import UNSET

from llmspell_protocol import ScriptFunction, ValueRejected, pack

from .._errors import BridgeError
from ..llm._types import TokenUsage
from ._plan import Part, Plan
from ._steps import Output, Performer, prefixed, variables
from ._template import render
from ._types import (
    ConditionalOptions,
    DagOptions,
    LoopOptions,
    ParallelOptions,
    Progress,
    StepResult,
)

_STEP: Final = "step."
_BEGIN, _TURN, _JOIN = "begin", "turn", "join"
"""Nodes that are no steps: before the first, after a round of a loop, after the last."""

_OWN_NODES: Final = 3
"""How many of them there are at most."""


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **new}


class State(TypedDict, total=False):
    """Everything that a run knows, and all that a checkpoint holds: `ScriptValue`s."""

    input: dict[str, Any]
    steps: Annotated[dict[str, Any], _merge]
    """`StepResult`s as maps, by name."""
    size: Annotated[int, operator.add]
    """Bytes of them, and of `rounds`."""
    items: list[Any]
    """Of a loop over a list."""
    rounds: Annotated[list[Any], operator.add]
    """The output of each round of a loop."""
    going: bool
    """Whether a loop has another round."""
    chosen: str | None
    """The step that a conditional workflow runs."""
    joined: Any
    """The output of a parallel workflow."""


Graph = CompiledStateGraph[State, None, State, State]


def first_state(given: dict[str, Any]) -> State:
    """The state in which a run begins."""
    return State(input=given, steps={}, size=0, rounds=[])


def limits(plan: Plan, performer: Performer) -> dict[str, Any]:
    """What LangGraph is to bound: steps in a row, and steps at once."""
    options, rounds = plan.options, 1
    if isinstance(options, LoopOptions):
        rounds = options.max_rounds + 1
    most = performer.ctx.policy.max_concurrent
    if isinstance(options, ParallelOptions | DagOptions):
        most = min(options.max_concurrent or most, most)
    steps = rounds * (len(plan.parts) + 1) + _OWN_NODES
    return {"recursion_limit": steps, "max_concurrency": most}


def build(
    plan: Plan, performer: Performer, checkpoints: BaseCheckpointSaver[str] | None = None
) -> Graph:
    """The graph of a plan that has no problems."""
    return _Builder(plan, performer).build(checkpoints)


def output_of(plan: Plan, state: State) -> Any:
    """What a workflow gives."""
    steps = state["steps"]
    if plan.kind == "loop":
        return state["rounds"]
    if plan.kind == "parallel":
        return state["joined"]
    if plan.kind == "conditional":
        chosen = state["chosen"]
        return steps[chosen]["output"] if chosen else None
    if plan.kind == "sequential":
        return steps[plan.names[-1]]["output"]
    outputs = {name: steps[name]["output"] for name in _last(plan)}
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def usage_of(steps: dict[str, Any]) -> TokenUsage:
    """Tokens of all steps together, nested ones included."""
    totals = [step["usage"] for step in steps.values() if "usage" in step]
    return TokenUsage(
        prompt_tokens=sum(usage["prompt_tokens"] for usage in totals),
        completion_tokens=sum(usage["completion_tokens"] for usage in totals),
        total_tokens=sum(usage["total_tokens"] for usage in totals),
    )


def step_of(node: str) -> str:
    """The name of a step from its node's."""
    return node.removeprefix(_STEP)


def _last(plan: Plan) -> list[str]:
    followed = {name for part in plan.parts for name in part.step.after or ()}
    return [name for name in plan.names if name not in followed]


class _Builder:
    def __init__(self, plan: Plan, performer: Performer) -> None:
        self._plan = plan
        self._performer = performer
        self._graph: StateGraph[State, None, State, State] = StateGraph(State)

    def build(self, checkpoints: BaseCheckpointSaver[str] | None) -> Graph:
        for part in self._plan.parts:
            self._graph.add_node(_STEP + part.name, self._node(part))
        edges: dict[str, Callable[[], None]] = {
            "sequential": self._sequential,
            "parallel": self._parallel,
            "conditional": self._conditional,
            "loop": self._loop,
            "dag": self._dag,
        }
        edges[self._plan.kind]()
        return self._graph.compile(checkpointer=checkpoints)

    # --- edges ----------------------------------------------------------------------------------

    @property
    def _nodes(self) -> list[str]:
        return [_STEP + name for name in self._plan.names]

    def _chain(self, *nodes: str) -> None:
        for one, after in itertools.pairwise(nodes):
            self._graph.add_edge(one, after)

    def _sequential(self) -> None:
        self._chain(START, *self._nodes, END)

    def _parallel(self) -> None:
        self._graph.add_node(_JOIN, self._join)
        for node in self._nodes:
            self._graph.add_edge(START, node)
        self._graph.add_edge(self._nodes, _JOIN)
        self._graph.add_edge(_JOIN, END)

    def _dag(self) -> None:
        for part in self._plan.parts:
            before = [_STEP + name for name in part.step.after or ()]
            # A list of one waits for it as a join, and its step once only.
            self._graph.add_edge(before or START, _STEP + part.name)
        for name in _last(self._plan):
            self._graph.add_edge(_STEP + name, END)

    def _conditional(self) -> None:
        self._graph.add_node(_BEGIN, self._choose)
        self._graph.add_edge(START, _BEGIN)

        def chosen(state: State) -> str:
            return _STEP + state["chosen"] if state["chosen"] else END

        self._graph.add_conditional_edges(_BEGIN, chosen, [*self._nodes, END])
        for node in self._nodes:
            self._graph.add_edge(node, END)

    def _loop(self) -> None:
        self._graph.add_node(_BEGIN, self._begin)
        self._graph.add_node(_TURN, self._turn)
        self._graph.add_edge(START, _BEGIN)
        self._chain(*self._nodes, _TURN)

        def another(state: State) -> str:
            return self._nodes[0] if state["going"] else END

        for node in (_BEGIN, _TURN):
            self._graph.add_conditional_edges(node, another, [self._nodes[0], END])

    # --- nodes ----------------------------------------------------------------------------------

    def _node(self, part: Part) -> Any:
        before = self._plan.before(part)

        async def node(state: State) -> State:
            write = get_stream_writer()

            def emit(progress: Progress) -> None:
                write(progress)

            context = self._context(state, before)
            result = await self._performer.perform(part, context, self._nested, emit)
            record = _plain(result)
            return State(steps={part.name: record}, size=self._grown(state, record))

        return node

    def _context(self, state: State, before: list[str]) -> dict[str, Any]:
        """What functions get and placeholders find."""
        done = {name: record for name, record in state["steps"].items() if name in before}
        context: dict[str, Any] = {"input": state["input"], "steps": done}
        if before:
            context["previous"] = done[before[-1]]["output"]
        if self._plan.kind == "loop":
            context["index"] = len(state["rounds"]) + 1
            if "items" in state:
                context["item"] = state["items"][len(state["rounds"])]
        return context

    def _grown(self, state: State, value: Any) -> int:
        """Bytes of a value, which with what there is must fit into the answer."""
        limit = self._performer.ctx.policy.max_response
        try:
            size = len(pack(value))
        except ValueRejected as error:
            raise BridgeError("Conversion", f"the output cannot be kept: {error}") from None
        if state["size"] + size > limit:
            message = f"the outputs are larger than max_response, {limit} bytes, together"
            raise BridgeError("Limit", message)
        return size

    async def _nested(self, plan: Plan, given: dict[str, Any]) -> Output:
        if plan.input:
            await plan.input.check(given, "input")
        graph = build(plan, self._performer)
        config: Any = limits(plan, self._performer)
        state: Any = await graph.ainvoke(first_state(given), config)
        usage = usage_of(state["steps"])
        return Output(
            value=output_of(plan, state),
            usage=usage if usage.total_tokens else UNSET,
            steps=state["steps"],
        )

    async def _join(self, state: State) -> State:
        outputs = {name: state["steps"][name]["output"] for name in self._plan.names}
        options = self._plan.options
        if isinstance(options, ParallelOptions) and options.aggregate:
            context = self._context(state, self._plan.names)
            joined = await self._ask("aggregate", options.aggregate, outputs, context)
        else:
            joined = outputs
        return State(joined=joined, size=self._grown(state, joined))

    async def _choose(self, state: State) -> State:
        options = self._plan.options
        assert isinstance(options, ConditionalOptions)
        answer = await self._answer(options.choose, self._context(state, []))
        if isinstance(answer, bool):
            answer = "true" if answer else "false"
        names = {name: name for name in self._plan.names}
        branches = names if options.branches is None else options.branches
        chosen = branches.get(answer, options.otherwise) if isinstance(answer, str) else None
        if chosen is None and answer is not None:
            there = ", ".join(branches)
            said = f"'{answer}'" if isinstance(answer, str) else "no text"
            raise BridgeError("Validation", f"choose gave {said}; there are: {there}")
        return State(chosen=chosen if answer is not None else options.otherwise)

    async def _answer(self, choose: Any, context: dict[str, Any]) -> Any:
        if isinstance(choose, str):
            limit = self._performer.ctx.policy.max_request
            return render(choose, variables(context), "choose", limit).strip()
        return await self._ask("choose", choose, context)

    async def _ask(self, field: str, function: ScriptFunction, *values: Any) -> Any:
        """What a function of the options gives; its errors name it."""
        try:
            return await self._performer.ctx.invoke(function, *values)
        except BridgeError as error:
            raise prefixed(error, field) from error

    async def _begin(self, state: State) -> State:
        options = self._loop_options()
        if options.over is None:
            return State(going=await self._goes_on(state))
        items = options.over
        if isinstance(items, str):
            found = variables({"input": state["input"], "steps": {}})
            items = render([items], found, "over", self._performer.ctx.policy.max_response)[0]
        elif not isinstance(items, list):
            items = await self._ask("over", items, self._context(state, []))
        if not isinstance(items, list):
            raise BridgeError("Validation", "over: this is no list", field="over")
        self._check_rounds(len(items))
        return State(items=items, size=self._grown(state, items), going=bool(items))

    async def _turn(self, state: State) -> State:
        output = state["steps"][self._plan.names[-1]]["output"]
        rounds = [*state["rounds"], output]
        after = State(**{**state, "rounds": rounds})
        if "items" in state:
            going = len(rounds) < len(state["items"])
        else:
            going = await self._goes_on(after)
        return State(rounds=[output], size=self._grown(state, output), going=going)

    async def _goes_on(self, state: State) -> bool:
        """Whether there is another round, where that is not a matter of items."""
        options, done = self._loop_options(), len(state["rounds"])
        if options.condition is None:
            return done < (options.times or 0)
        context = self._context(state, self._plan.names if done else [])
        going = await self._ask("condition", options.condition, context)
        if not isinstance(going, bool):
            raise BridgeError("Validation", "condition gives true or false", field="condition")
        if going:
            self._check_rounds(done + 1)
        return going

    def _check_rounds(self, rounds: int) -> None:
        most = self._loop_options().max_rounds
        if rounds > most:
            message = f"{rounds} rounds or more; max_rounds is {most}"
            raise BridgeError("Limit", message, field="max_rounds")

    def _loop_options(self) -> LoopOptions:
        assert isinstance(self._plan.options, LoopOptions)
        return self._plan.options


def _plain(result: StepResult) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(result, builtin_types=(bytes,))
    return found
