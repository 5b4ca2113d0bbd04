"""An agent as scripts hold it. Imports nothing heavy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Protocol

import msgspec
from msgspec import Meta

from llmspell_protocol import ObjectHandle

from ..._clock import off_the_clock
from ..._context import CallContext
from ..._errors import BridgeError
from ..._interface import End, method
from ..._objects import BridgeObject
from ...toolbox import Schema, ScriptTool, Tool, Toolbox, ToolInfo, ToolOptions, Validity, likeness
from .._types import CompletionDelta, CompletionRequest, CompletionResponse
from . import _library
from ._conversation import Conversation
from ._types import AgentAnswer, AgentChunk, AgentOptions, AgentTool

if TYPE_CHECKING:
    from ._loop import Items, Sink

Input = Annotated[str, Meta(description="what the agent is asked")]

MAX_DEPTH: Final = 8
"""Agents that use agents that use agents: each level multiplies what one answer can cost."""


class Models(Protocol):
    """Who asks models for an agent: the bridge `llm`."""

    async def complete(
        self, ctx: CallContext, request: str | CompletionRequest
    ) -> CompletionResponse:
        """Continue a conversation."""

    def stream(
        self, ctx: CallContext, request: str | CompletionRequest
    ) -> AsyncIterator[CompletionDelta | End[CompletionResponse]]:
        """Continue a conversation, piece by piece."""

    async def check_model(self, ctx: CallContext, request: CompletionRequest) -> None:
        """Raise `BridgeError` unless the model of `request` could be asked."""


class Delegate(Tool):
    """Another agent as a tool: it is asked, and its answer is the result."""

    source = "agent"
    method = "llm.agent.run"
    effect = "spend"

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent.options.name, agent.options.description)
        self.agent: Agent = agent

    @property
    def parameters(self) -> dict[str, Any]:
        """One text."""
        return {
            "type": "object",
            "properties": {"input": {"type": "string", "description": "what it is asked"}},
            "required": ["input"],
            "additionalProperties": False,
        }

    async def check(self, arguments: Any) -> str:
        """The text."""
        text = arguments.get("input") if isinstance(arguments, dict) else None
        if not isinstance(text, str) or len(arguments) > 1:
            message = f"{self.name}: input: takes one text, input, and nothing else"
            raise BridgeError("Validation", message, field="input")
        return text

    async def execute(self, ctx: CallContext, arguments: str) -> str:
        """Ask the agent."""
        return (await self.agent.run(ctx, arguments)).content


ToolboxSource = Callable[[], Toolbox]
"""Finds the tools of the run, or raises `BridgeError` where the spell may use none."""


class Agent(BridgeObject):
    """A model with a task, tools, and other agents to turn to."""

    name: ClassVar[str] = "agent"

    def __init__(
        self,
        options: AgentOptions,
        models: Models,
        given: Sequence[Tool],
        handoffs: Sequence[Agent],
        schema: Schema | None,
    ) -> None:
        self.options: AgentOptions = options
        self.models: Models = models
        self.given: Sequence[Tool] = given
        self.handoffs: Sequence[Agent] = handoffs
        self.schema: Schema | None = schema
        below = [t.agent for t in given if isinstance(t, Delegate)] + list(handoffs)
        self.depth: int = 1 + max((agent.depth for agent in below), default=0)

    @classmethod
    async def of(
        cls, ctx: CallContext, options: AgentOptions, models: Models, toolbox: ToolboxSource
    ) -> Agent:
        """The agent that `options` describe. Raises `BridgeError` that names the option."""
        given = [await _tool(ctx, t, f"tools[{i}]", toolbox) for i, t in enumerate(options.tools)]
        for i, server in enumerate(options.mcp):
            from ...mcp import McpBridge  # only for who asks for servers

            servers = ctx.bridge("mcp", McpBridge)
            given += await servers.offered(ctx, server, f"mcp[{i}]")
        handoffs = [ctx.object(h, Agent, f"handoffs[{i}]") for i, h in enumerate(options.handoffs)]
        schema = None
        if options.output_schema is not None:
            schema = await Schema.of(options.output_schema, "output_schema")
        agent = cls(options, models, given, handoffs, schema)
        if agent.depth > MAX_DEPTH:
            raise BridgeError("Limit", f"agents use each other over more than {MAX_DEPTH} levels")
        _refuse_twins([*(tool.name for tool in given), *(other.transfer for other in handoffs)])
        return agent

    @property
    def transfer(self) -> str:
        """What models call to hand over to this agent."""
        return f"transfer_to_{self.options.name}"

    @method(effect="spend")
    async def run(self, ctx: CallContext, input: Input) -> AgentAnswer:  # noqa: A002 - the document's name
        """Let the agent work on `input` until it has an answer."""
        answer, _ = await self._run(ctx, [], input)
        return answer

    async def run_within(self, ctx: CallContext, text: str) -> AgentAnswer:
        """`run`, for a call of something else that makes it."""
        return await ctx.nested("llm.agent.run", text, work=lambda inner: self.run(inner, text))

    @method(effect="spend")
    async def run_with_context(
        self,
        ctx: CallContext,
        input: Input,  # noqa: A002 - the document's name
        context: Annotated[ObjectHandle, Meta(description="made by llm.conversation")],
    ) -> AgentAnswer:
        """The same, in a conversation, which grows by it. If it fails, the conversation does not."""
        conversation = ctx.object(context, Conversation, "context")
        async with conversation.turn() as history:
            answer, new = await self._run(ctx, history, input)
            await conversation.add(new)
        return answer

    @method(effect="spend")
    async def run_stream(
        self,
        ctx: CallContext,
        input: Input,  # noqa: A002 - the document's name
        context: Annotated[
            ObjectHandle | None, Meta(description="made by llm.conversation, if it is part of one")
        ] = None,
    ) -> AsyncIterator[AgentChunk | End[AgentAnswer]]:
        """The same, and what happens as it happens; ends with the answer."""
        conversation = None if context is None else ctx.object(context, Conversation, "context")
        async with contextlib.AsyncExitStack() as stack:
            history = await stack.enter_async_context(conversation.turn()) if conversation else []
            events: asyncio.Queue[AgentChunk] = asyncio.Queue(1)  # nobody runs ahead of the reader
            work = asyncio.create_task(self._run(ctx, history, input, events.put))
            stack.push_async_callback(_stop, work)
            while (event := await _next(events, work)) is not None:
                yield event
            answer, new = work.result()
            if conversation is not None:
                await conversation.add(new)
        yield End(answer)

    @method(effect="read")
    def tools(self, ctx: CallContext) -> list[ToolInfo]:  # noqa: ARG002 - all take it
        """The tools that it has, with the JSON Schemas of their arguments."""
        return [tool.info() for tool in self.given]

    @method(effect="read")
    async def validate(self, ctx: CallContext) -> Validity:
        """Whether it could run: its model may be asked, its tools can be used. Asks nobody."""
        options = self.options
        try:
            with off_the_clock():
                await _library.load()
            request = CompletionRequest(model=options.model, provider=options.provider)
            await self.models.check_model(ctx, request)
        except BridgeError as error:
            field = error.field or msgspec.UNSET
            return Validity(valid=False, message=error.message, field=field)
        for tool in self.given:
            if missing := await tool.missing(ctx):
                message = f"{tool.name}: {missing}"
                return Validity(valid=False, message=message, field="tools")
        return Validity(valid=True)

    async def _run(
        self, ctx: CallContext, history: Items, text: str, sink: Sink | None = None
    ) -> tuple[AgentAnswer, Items]:
        with off_the_clock():  # each call of a model or a tool is bounded by itself
            await _library.load()
            from ._loop import Loop

            return await Loop(ctx, sink).run(self, history, text)


async def _tool(ctx: CallContext, given: str | AgentTool, at: str, toolbox: ToolboxSource) -> Tool:
    if isinstance(given, str):
        return await toolbox().get(ctx, given, at)
    if given.agent is not None:
        return Delegate(ctx.object(ObjectHandle(given.agent), Agent, at))
    if given.name is None or given.handler is None:
        field = f"{at}.{'name' if given.name is None else 'handler'}"
        message = f"{field}: a tool is a name, an agent, or a map with name and handler"
        raise BridgeError("Validation", message, field=field)
    options = ToolOptions(
        name=given.name,
        description=given.description,
        parameters=given.parameters,
        handler=given.handler,
    )
    return await ScriptTool.of(options, f"{at}.")


def _refuse_twins(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if likeness(name) in seen:
            message = f"tools: there are two tools '{name}', or one that looks alike"
            raise BridgeError("Validation", message, field="tools")
        seen.add(likeness(name))


async def _next(
    events: asyncio.Queue[AgentChunk], work: asyncio.Task[tuple[AgentAnswer, Items]]
) -> AgentChunk | None:
    """The next event; none when the work is done and there are no more."""
    with off_the_clock():
        event = asyncio.ensure_future(events.get())
        try:
            await asyncio.wait({event, work}, return_when=asyncio.FIRST_COMPLETED)
            return event.result() if event.done() else None
        finally:
            event.cancel()


async def _stop(work: asyncio.Task[tuple[AgentAnswer, Items]]) -> None:
    work.cancel()
    await asyncio.wait({work})
