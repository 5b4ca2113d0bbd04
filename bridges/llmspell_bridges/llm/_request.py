"""From a script's request to litellm's arguments. Nothing passes that is not named here."""

from __future__ import annotations

import base64
import difflib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from .._domains import check_url
from .._errors import BridgeError
from ._types import ImagePart, Message, TextPart

if TYPE_CHECKING:
    from .._context import CallContext
    from ._types import CompletionRequest, ToolCall, ToolDefinition

EXTRA: Final = frozenset(
    {
        "logit_bias",
        "min_p",
        "parallel_tool_calls",
        "reasoning_effort",
        "repetition_penalty",
        "thinking",
        "top_a",
        "top_k",
        "typical_p",
        "verbosity",
    }
)
"""What `extra` may carry. A list, because litellm takes keys, addresses, headers, callbacks, other
models and `n = 1000` the same way. The operator adds to it with `llm.extra_options`."""

_PLAIN: Final = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "response_format",
)
_CHOICES: Final = frozenset({"auto", "none", "required"})


def conversation(request: CompletionRequest) -> list[Message]:
    """The messages of a request, or its prompt as one. Raises `BridgeError`."""
    if request.prompt is not None:
        if request.messages:
            raise _invalid("give messages or prompt, not both", "prompt")
        return [Message(role="user", content=request.prompt)]
    if not request.messages:
        raise _invalid("there are no messages, and no prompt in their place", "messages")
    return request.messages


def options(request: CompletionRequest, granted: tuple[str, ...]) -> dict[str, Any]:
    """Everything but the messages and where they go. Raises `BridgeError` that names the option.

    `granted` are names that the operator allows in `extra` beyond `EXTRA`.
    """
    given = {name: getattr(request, name) for name in _PLAIN}
    given["stop"] = _stop(request)
    given["tools"] = [_tool(t) for t in request.tools] or None
    given["tool_choice"] = _tool_choice(request)
    if request.schema is not None:
        given["response_format"] = _schema(request)
    given.update(_extra(request.extra, EXTRA | set(granted)))
    return {name: value for name, value in given.items() if value is not None}


def messages(found: list[Message], ctx: CallContext) -> list[dict[str, Any]]:
    """The conversation in OpenAI's form. Raises `BridgeError` for an image that is not granted."""
    return [_message(m, f"messages[{i}]", ctx) for i, m in enumerate(found)]


def refuse_images(found: list[Message], model: str) -> None:
    """For a model that reads text only. Raises `BridgeError` that names the first image."""
    for i, message in enumerate(found):
        for j, part in enumerate(message.content if isinstance(message.content, list) else []):
            if isinstance(part, ImagePart):
                raise _invalid(f"{model} reads no images", f"messages[{i}].content[{j}]")


def _message(message: Message, at: str, ctx: CallContext) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if isinstance(message.content, list):
        out["content"] = [
            _part(p, f"{at}.content[{i}]", ctx) for i, p in enumerate(message.content)
        ]
    if message.content is None and not message.tool_calls:
        raise _invalid("a message needs content", f"{at}.content")
    if message.name is not None:
        out["name"] = message.name
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        out["tool_calls"] = [_tool_call(c) for c in message.tool_calls]
    return out


def _part(part: TextPart | ImagePart, at: str, ctx: CallContext) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if (part.url is None) == (part.data is None):
        raise _invalid("an image needs either url or data", at)
    if part.data is not None:
        url = f"data:{part.mime};base64,{_base64(part.data, at)}"
    else:
        url = part.url or ""
        # Some providers are handed the address, for others litellm fetches it on this machine.
        if not url.startswith("data:image/"):
            check_url(
                url,
                allow_domain=ctx.policy.allow_domain,
                require_tls=ctx.policy.require_tls,
                field=f"{at}.url",
            )
            ctx.touch(domain=urlsplit(url).hostname or "")
    return {"type": "image_url", "image_url": {"url": url}}


def _base64(data: Any, at: str) -> str:
    if isinstance(data, bytes):
        return base64.b64encode(data).decode()
    if isinstance(data, str):
        return data
    raise _invalid("an image is bytes, or base64 text", f"{at}.data")


def _tool_call(call: ToolCall) -> dict[str, Any]:
    arguments = call.arguments
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments or {}).decode()  # an empty Lua table is a list
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(request: CompletionRequest) -> Any:
    choice = request.tool_choice
    if choice is None or choice in _CHOICES:
        return choice
    if choice not in {t.name for t in request.tools}:
        raise _invalid("neither auto, none, required nor a name among tools", "tool_choice")
    return {"type": "function", "function": {"name": choice}}


def _schema(request: CompletionRequest) -> dict[str, Any]:
    if request.response_format is not None:
        raise _invalid("give schema or response_format, not both", "schema")
    schema = {"name": "answer", "schema": request.schema}
    return {"type": "json_schema", "json_schema": schema}


def _stop(request: CompletionRequest) -> list[str] | None:
    if request.stop is not None and request.stop_sequences is not None:
        raise _invalid("the same as stop: give one of them", "stop_sequences")
    stop = request.stop if request.stop is not None else request.stop_sequences
    return [stop] if isinstance(stop, str) else stop


def _extra(given: dict[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    for name in given:
        if name not in allowed:
            near = difflib.get_close_matches(name, sorted(allowed), 1, 0.6)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise _invalid(f"unknown option '{name}'{hint}", f"extra.{name}")
    return given


def _invalid(message: str, field: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: {message}", field=field)
