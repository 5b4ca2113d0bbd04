"""One run of an agent: the library's loop, with our model, our tools and our errors.

Imports the library; import it after `_library.load`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import agents
import msgspec
from agents.agent_output import AgentOutputSchemaBase
from agents.exceptions import ModelBehaviorError

from llmspell_protocol import ScriptFunction

from ..._context import CallContext
from ..._errors import BridgeError, BudgetExceeded
from ..._interface import End
from ...toolbox import Tool
from ._model import RoutedModel
from ._tally import Tally
from ._types import AgentChunk, AgentHandoff, AgentText, AgentToolCall, AgentToolResult

if TYPE_CHECKING:
    from .._types import CompletionRequest, CompletionResponse
    from ._agent import Agent
    from ._types import AgentAnswer

MAX_AT_ONCE: Final = 8
"""Tools of one answer that run at the same time; the rest wait."""

MAX_OUTPUT: Final = 256 * 1024
"""Characters of a tool's output that the model is told: about as many as fit into a model."""

Sink = Callable[[AgentChunk], Awaitable[None]]
Items = list[Any]
"""A conversation in the library's form."""


class Loop(agents.RunHooks[None]):
    """Runs one agent once. What it has used is in `tally`, also when it fails."""

    def __init__(self, ctx: CallContext, sink: Sink | None = None) -> None:
        """`sink` gets what happens as it happens; whoever reads slowly holds the model back."""
        self.tally: Tally = Tally()
        self._ctx = ctx
        self._sink = sink
        self._failure: BridgeError | BudgetExceeded | None = None
        self._built: dict[int, agents.Agent[None]] = {}
        self._agents: list[Agent] = []

    async def run(self, agent: Agent, history: Items, text: str) -> tuple[AgentAnswer, Items]:
        """The answer to `text`, and what the conversation has grown by.

        Raises `BridgeError` and `BudgetExceeded`.
        """
        items = [*history, {"role": "user", "content": text}]
        options = agent.options
        try:
            result = await agents.Runner.run(
                self._build(agent),
                items,
                max_turns=options.max_turns,
                hooks=self,
                run_config=_CONFIG,
            )
        except Exception as error:
            found = self._explain(error, agent)
            if found is error:
                raise
            raise found from error
        answered = next(a for a in self._agents if self._built[id(a)] is result.last_agent)
        data: Any = msgspec.UNSET
        if answered.schema is not None:
            data = result.final_output
            await _fit(answered, data)
        new = result.to_input_list()[len(history) :]
        return self.tally.answer(answered.options.name, data), new

    # --- what the library calls -------------------------------------------------------------------

    async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
        """Tell the reader that a tool begins."""
        if self._sink is not None:
            arguments = _arguments(context.tool_arguments)
            await self._sink(
                AgentToolCall(
                    agent=agent.name, id=context.tool_call_id, name=tool.name, arguments=arguments
                )
            )

    async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: object) -> None:
        """Tell the reader that a tool has ended."""
        if self._sink is not None:
            await self._sink(
                AgentToolResult(
                    agent=agent.name, id=context.tool_call_id, name=tool.name, output=str(result)
                )
            )

    async def on_handoff(self, context: Any, from_agent: Any, to_agent: Any) -> None:  # noqa: ARG002
        """Tell the reader that another agent takes over."""
        if self._sink is not None:
            await self._sink(AgentHandoff(agent=from_agent.name, to=to_agent.name))

    # --- what agents are made of ------------------------------------------------------------------

    def _build(self, agent: Agent) -> agents.Agent[None]:
        """The agent in the library's form, and those that it may hand over to."""
        if id(agent) not in self._built:
            options = agent.options
            self._agents.append(agent)
            self._built[id(agent)] = agents.Agent(
                name=agent.options.name,
                handoff_description=options.description or None,
                instructions=options.system,
                model=RoutedModel(options, lambda request: self._ask(agent, request)),
                tools=[self._tool(tool) for tool in agent.given],
                handoffs=[self._handoff(other) for other in agent.handoffs],
                output_type=_Output(self, agent) if agent.schema is not None else None,
                input_guardrails=[self._input(f) for f in options.guardrails.input],
                output_guardrails=[self._output(f) for f in options.guardrails.output],
            )
        return self._built[id(agent)]

    async def _ask(self, agent: Agent, request: CompletionRequest) -> CompletionResponse:
        try:
            answer = await self._ctx.nested(
                "llm.complete" if self._sink is None else "llm.stream",
                request,
                work=lambda inner: self._answer(inner, agent, request),
            )
        except (BridgeError, BudgetExceeded) as error:
            self._failure = error
            raise
        self.tally.add(answer)
        return answer

    async def _answer(
        self, ctx: CallContext, agent: Agent, request: CompletionRequest
    ) -> CompletionResponse:
        if self._sink is None:
            return await agent.models.complete(ctx, request)
        async for item in agent.models.stream(ctx, request):
            if isinstance(item, End):
                return item.value
            if item.content is not msgspec.UNSET:
                await self._sink(AgentText(agent=agent.options.name, content=item.content))
        raise AssertionError("a stream of a model ends with its answer")

    def _tool(self, tool: Tool) -> agents.FunctionTool:
        async def invoke(_: Any, raw: str) -> str:
            return await self._use(tool, raw)

        return agents.FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.parameters,
            on_invoke_tool=invoke,
            strict_json_schema=False,
        )

    async def _use(self, tool: Tool, raw: str) -> str:
        """What the model is told of a tool that it asked for. Errors are for the model, too."""
        arguments = _arguments(raw)
        number = self.tally.begin()
        try:
            found = await self._ctx.nested(
                tool.method,
                tool.name,
                arguments,
                work=lambda inner: self._call(inner, tool, arguments),
            )
            output, ok = _text(found), True
        except BridgeError as error:
            output, ok = f"error: {error.kind}: {error.message}", False
        except BudgetExceeded as error:
            self._failure = error
            raise
        self.tally.used(number, tool.name, arguments, output, ok=ok)
        return output

    async def _call(self, ctx: CallContext, tool: Tool, arguments: Any) -> Any:
        from ._agent import Delegate

        ctx.note(tool=tool.name)
        if isinstance(tool, Delegate):
            checked = await tool.check(arguments)
            inner = Loop(ctx)
            try:
                answer, _ = await inner.run(tool.agent, [], checked)
            finally:
                self.tally.include(inner.tally)
            return answer.content
        if tool.source == "spell":  # it waits for the spell, whose time is the run's
            return await tool.call(ctx, arguments)
        seconds = ctx.call_timeout()
        try:
            async with asyncio.timeout(seconds):
                return await tool.call(ctx, arguments)
        except TimeoutError:
            message = f"{tool.name}: no result within {seconds:g} s"
            raise BridgeError("Timeout", message, retryable=True, duration=seconds) from None

    def _handoff(self, agent: Agent) -> agents.Handoff[None]:
        # The library would write the name in small letters, and two may then be one.
        return agents.handoff(self._build(agent), tool_name_override=agent.transfer)

    def _input(self, function: ScriptFunction) -> agents.InputGuardrail[None]:
        async def judge(_: Any, __: Any, given: Any) -> agents.GuardrailFunctionOutput:
            text = given if isinstance(given, str) else given[-1]["content"]
            return await self._judge(function, text)

        # Before the model is asked, not beside it: what is refused must cost nothing.
        return agents.InputGuardrail(judge, name="guardrail", run_in_parallel=False)

    def _output(self, function: ScriptFunction) -> agents.OutputGuardrail[None]:
        async def judge(_: Any, __: Any, output: Any) -> agents.GuardrailFunctionOutput:
            return await self._judge(function, output)

        return agents.OutputGuardrail(judge, name="guardrail")

    async def _judge(self, function: ScriptFunction, value: Any) -> agents.GuardrailFunctionOutput:
        try:
            verdict = await self._ctx.invoke(function, value)
        except (BridgeError, BudgetExceeded) as error:
            self._failure = error
            raise
        reason = verdict if isinstance(verdict, str) else "the guardrail did not return true"
        return agents.GuardrailFunctionOutput(reason, tripwire_triggered=verdict is not True)

    # --- how it may end ---------------------------------------------------------------------------

    def fail(self, error: BridgeError) -> None:
        """Let the run end with this error, whatever the library makes of it."""
        self._failure = error

    def _explain(self, error: Exception, agent: Agent) -> Exception:
        if self._failure is not None:
            return self._failure
        if isinstance(error, agents.MaxTurnsExceeded):
            most = agent.options.max_turns
            message = f"{agent.options.name}: no answer within {most} turns (max_turns)"
            return BridgeError("Limit", message, field="max_turns")
        for kind, field in _TRIPPED:
            if isinstance(error, kind):
                reason = error.guardrail_result.output.output_info
                message = f"{agent.options.name}: a guardrail refuses the {field}: {reason}"
                return BridgeError("Validation", message, field=field)
        if isinstance(error, ModelBehaviorError):
            return BridgeError("Provider", f"{agent.options.name}: {error.message}", retryable=True)
        return error


class _Output(AgentOutputSchemaBase):
    """An answer that is to be JSON. Whether it fits the schema is looked at after the run."""

    def __init__(self, loop: Loop, agent: Agent) -> None:
        assert agent.schema is not None
        self._loop = loop
        self._agent = agent
        self._definition = agent.schema.definition

    def is_plain_text(self) -> bool:
        return False

    def name(self) -> str:
        return "answer"

    def json_schema(self) -> dict[str, Any]:
        return self._definition

    def is_strict_json_schema(self) -> bool:
        return False

    def validate_json(self, json_str: str) -> Any:
        try:
            return msgspec.json.decode(json_str)
        except msgspec.DecodeError as error:
            failure = _unfit(self._agent, f"the answer is not JSON: {error}")
            self._loop.fail(failure)
            raise failure from None


async def _fit(agent: Agent, data: Any) -> None:
    assert agent.schema is not None
    try:
        await agent.schema.check(data, "answer")
    except BridgeError as error:
        raise _unfit(agent, error.message) from None


def _unfit(agent: Agent, message: str) -> BridgeError:
    said = f"{agent.options.name}: {message} (output_schema)"
    return BridgeError("Serialization", said, retryable=True, field="output_schema")


def _arguments(raw: str | None) -> Any:
    try:
        return msgspec.json.decode(raw or "{}")
    except msgspec.DecodeError:
        return raw  # no tool takes a text for a map, and each says so to the model


def _text(value: Any) -> str:
    """A tool's result as the model is told."""
    if not isinstance(value, str):
        value = msgspec.json.encode(value).decode()
    return value if len(value) <= MAX_OUTPUT else f"{value[:MAX_OUTPUT]}\n[cut here]"


_TRIPPED: Final = (
    (agents.InputGuardrailTripwireTriggered, "input"),
    (agents.OutputGuardrailTripwireTriggered, "output"),
)
_CONFIG: Final = agents.RunConfig(
    tracing_disabled=True,
    trace_include_sensitive_data=False,
    tool_execution=agents.ToolExecutionConfig(max_function_tool_concurrency=MAX_AT_ONCE),
    tool_not_found_behavior="return_error_to_model",
    tool_name_collision_policy="error",
)
