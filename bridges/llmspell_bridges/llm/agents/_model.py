"""A model for openai-agents that asks through `llm`: routing, keys, budget and retries are ours.

Imports the library; import it after `_library.load`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, cast

import msgspec
from agents import ModelResponse, Usage
from agents.models.chatcmpl_converter import Converter
from agents.models.fake_id import FAKE_RESPONSES_ID
from agents.models.interface import Model
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from ..._errors import BridgeError
from .._types import CompletionRequest, CompletionResponse, Message, ToolCall, ToolDefinition
from ._types import AgentOptions

MAX_CALLS: Final = 64
"""Tools that one answer may ask for. Models ask for a handful; a hostile server for thousands."""

Ask = Callable[[CompletionRequest], Awaitable[CompletionResponse]]


class RoutedModel(Model):
    """The model of one agent in one run."""

    def __init__(self, options: AgentOptions, ask: Ask) -> None:
        self._options = options
        self._ask = ask
        self._ids: set[str] = set()

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the library's name
        model_settings: Any,  # noqa: ARG002 - ours are in the options
        tools: list[Any],
        output_schema: Any,
        handoffs: list[Any],
        tracing: Any,  # noqa: ARG002 - is off
        **_: Any,
    ) -> ModelResponse:
        """Ask the model."""
        options = self._options
        self._ids.update(item["call_id"] for item in input if "call_id" in item)
        found = cast("list[dict[str, Any]]", Converter.items_to_messages(input))
        messages = [_message(message) for message in found]
        if system_instructions:
            messages.insert(0, Message(role="system", content=system_instructions))
        offered = [Converter.tool_to_openai(tool) for tool in tools]
        offered += [Converter.convert_handoff_tool(handoff) for handoff in handoffs]
        answer = await self._ask(
            CompletionRequest(
                model=options.model,
                provider=options.provider,
                messages=messages,
                tools=[_tool(cast("dict[str, Any]", tool)) for tool in offered],
                temperature=options.temperature,
                max_tokens=options.max_tokens,
                # Not `schema`: an answer that asks for tools is not read as JSON.
                response_format=_response_format(output_schema),
                timeout=options.timeout,
                retries=options.retries,
            )
        )
        usage = Usage(
            requests=1,
            input_tokens=answer.usage.prompt_tokens,
            output_tokens=answer.usage.completion_tokens,
            total_tokens=answer.usage.total_tokens,
        )
        return ModelResponse(output=self._items(answer), usage=usage, response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """Not used: `get_response` hands on pieces as they come, and waits for their reader."""
        raise NotImplementedError

    def _items(self, answer: CompletionResponse) -> list[Any]:
        calls = [] if answer.tool_calls is msgspec.UNSET else answer.tool_calls
        if len(calls) > MAX_CALLS:
            message = f"{answer.provider}/{answer.model}: more than {MAX_CALLS} tool calls at once"
            raise BridgeError("Limit", message)
        items: list[Any] = []
        if answer.content or not calls:
            text = ResponseOutputText(text=answer.content, type="output_text", annotations=[])
            items.append(
                ResponseOutputMessage(
                    id=FAKE_RESPONSES_ID, content=[text], role="assistant", status="completed",
                    type="message",
                )
            )  # fmt: skip
        return items + [self._call(call) for call in calls]

    def _call(self, call: ToolCall) -> ResponseFunctionToolCall:
        arguments = call.arguments
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        return ResponseFunctionToolCall(
            id=FAKE_RESPONSES_ID, call_id=self._unique(call.id), name=call.name,
            arguments=arguments, type="function_call",
        )  # fmt: skip

    def _unique(self, given: str) -> str:
        """The library takes a call whose identifier it knows for a replay; some servers repeat them."""
        found = given or "call"
        number = 1
        while found in self._ids:
            number += 1
            found = f"{given or 'call'}_{number}"
        self._ids.add(found)
        return found


def _message(raw: dict[str, Any]) -> Message:
    calls = [
        ToolCall(id=c["id"], name=c["function"]["name"], arguments=c["function"]["arguments"])
        for c in raw.get("tool_calls", ())
    ]
    return Message(
        role=raw["role"],
        content=raw.get("content"),
        tool_calls=calls,
        tool_call_id=raw.get("tool_call_id"),
    )


def _tool(raw: dict[str, Any]) -> ToolDefinition:
    function = raw["function"]
    return ToolDefinition(
        name=function["name"],
        description=function.get("description") or "",
        parameters=function.get("parameters") or {},
    )


def _response_format(schema: Any) -> dict[str, Any] | None:
    if schema is None or schema.is_plain_text():
        return None
    named = {"name": schema.name(), "schema": schema.json_schema()}
    return {"type": "json_schema", "json_schema": named}
