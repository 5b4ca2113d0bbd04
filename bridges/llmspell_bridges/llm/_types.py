"""What scripts send to `llm` and get back. Field names are those of the data in both languages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Role = Literal["system", "user", "assistant", "tool"]
Schema = dict[str, Any]
"""A JSON Schema."""
Name = Annotated[str, Meta(min_length=1)]
Attempts = Annotated[int, Meta(ge=1, le=10)]
Number = Annotated[float, Meta(ge=-2, le=2)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class _Input(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From a script: what is unknown is refused by name."""


class _Output(Struct, frozen=True, kw_only=True):
    """To a script: a field that is not set is not there."""


class TextPart(_Input, tag="text", frozen=True, kw_only=True):
    """A part of a message: text."""

    text: str


class ImagePart(_Input, tag="image", frozen=True, kw_only=True):
    """A part of a message: an image, by `url` or as `data`."""

    url: Annotated[str | None, Meta(description="data: URL, or an address on a granted domain")] = (
        None
    )
    data: Annotated[Any, Meta(description="the image: bytes, or base64 text")] = None
    mime: Annotated[
        str, Meta(description="media type of data", pattern=r"^image/[a-z0-9.+-]+$")
    ] = "image/png"


class ToolCall(Struct, frozen=True, kw_only=True):
    """The model asks for a tool. Send it back as it came, in an assistant message."""

    id: str
    name: str
    arguments: Any = None
    """A map; the text as it came, where the model wrote no valid JSON."""


class Message(_Input, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: Annotated[Role, Meta(description="who speaks")]
    content: Annotated[
        str | list[TextPart | ImagePart] | None, Meta(description="text, or a list of parts")
    ] = None
    name: Annotated[str | None, Meta(description="name of the speaker, or of the tool")] = None
    tool_calls: Annotated[
        list[ToolCall], Meta(description="tools that the assistant asked for")
    ] = []
    tool_call_id: Annotated[str | None, Meta(description="the tool call that this answers")] = None
    metadata: Annotated[dict[str, Any], Meta(description="for the script; not sent")] = {}


class ToolDefinition(_Input, frozen=True, kw_only=True):
    """A tool that the model may ask for."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="name of the tool")]
    description: Annotated[str, Meta(description="what it does, for the model")] = ""
    parameters: Annotated[Schema | list[Any], Meta(description="JSON Schema of its arguments")] = {}
    strict: Annotated[bool, Meta(description="arguments follow the schema exactly")] = False


class Retries(_Input, frozen=True, kw_only=True):
    """When a call is repeated: after `RateLimit`, `Network`, `Timeout` and a provider's fault."""

    attempts: Annotated[Attempts | None, Meta(description="calls in all")] = None
    base_delay: Annotated[float, Meta(ge=0, le=60, description="seconds before the second")] = 0.5
    max_delay: Annotated[float, Meta(ge=0, le=300, description="seconds between two at most")] = (
        20.0
    )
    backoff: Annotated[
        Literal["exponential", "linear", "constant"], Meta(description="how the wait grows")
    ] = "exponential"


class _Addressed(_Input, frozen=True, kw_only=True):
    """What every request of a model says."""

    model: Annotated[Name | None, Meta(description="model, or an alias")] = None
    provider: Annotated[Name | None, Meta(description="who serves the model")] = None
    timeout: Annotated[Seconds | None, Meta(description="seconds of one attempt")] = None
    retries: Annotated[Retries, Meta(description="when the call is repeated")] = Retries()


class CompletionRequest(_Addressed, frozen=True, kw_only=True):
    """A conversation, and how to continue it."""

    messages: Annotated[list[Message], Meta(description="the conversation so far")] = []
    prompt: Annotated[str | None, Meta(description="one user message, in place of messages")] = None
    temperature: Annotated[Temperature | None, Meta(description="0 is the least random")] = None
    max_tokens: Annotated[Count | None, Meta(description="tokens of the answer at most")] = None
    stop: Annotated[str | list[str] | None, Meta(description="texts that end the answer")] = None
    stop_sequences: Annotated[list[str] | None, Meta(description="the same as stop")] = None
    tools: Annotated[list[ToolDefinition], Meta(description="tools to ask for")] = []
    tool_choice: Annotated[
        str | None, Meta(description="auto, none, required, or the name of one tool")
    ] = None
    schema: Annotated[
        Schema | None, Meta(description="JSON Schema of the answer, which is read into data")
    ] = None
    response_format: Annotated[
        Schema | None, Meta(description="the provider's own form, such as {type = json_object}")
    ] = None
    top_p: Annotated[Fraction | None, Meta(description="share of likely words to choose from")] = (
        None
    )
    seed: Annotated[int | None, Meta(description="the same seed asks for the same answer")] = None
    presence_penalty: Annotated[Number | None, Meta(description="against used topics")] = None
    frequency_penalty: Annotated[Number | None, Meta(description="against used words")] = None
    extra: Annotated[
        dict[str, Any], Meta(description="further options of the provider, such as top_k")
    ] = {}


class EmbedRequest(_Addressed, frozen=True, kw_only=True):
    """Texts to embed."""

    input: Annotated[str | list[str], Meta(description="one text, or several")]
    dimensions: Annotated[Count | None, Meta(description="length of each vector")] = None


class TokenUsage(Struct, frozen=True, kw_only=True):
    """Tokens as the provider counted them, or estimated where it does not say."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached: bool | UnsetType = UNSET
    """True where a kept answer cost nothing (`[llm.cache]`); else not there."""


class ResponseMetadata(_Output, frozen=True, kw_only=True):
    """About the call."""

    id: str | UnsetType = UNSET
    created: int | UnsetType = UNSET
    """Seconds since 1970, by the provider's clock."""
    latency_ms: int
    """From the last attempt's start to its end."""
    attempts: int


class AnswerMessage(_Output, frozen=True, kw_only=True):
    """The answer in the form of a message, to be appended to the conversation."""

    role: Literal["assistant"] = "assistant"
    content: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


class CompletionResponse(_Output, frozen=True, kw_only=True):
    """The answer of a model."""

    content: str
    """Empty when the model only asked for tools."""
    message: AnswerMessage
    tool_calls: list[ToolCall] | UnsetType = UNSET
    data: Any = UNSET
    """The answer read as JSON, where the request had a `schema`."""
    usage: TokenUsage
    cost: float | None
    """US dollars by litellm's price list; null when the model's price is not known."""
    model: str
    provider: str
    finish_reason: str
    metadata: ResponseMetadata


class ToolCallDelta(_Output, frozen=True, kw_only=True):
    """A piece of a tool call; pieces with the same `index` belong together."""

    index: int
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CompletionDelta(_Output, frozen=True, kw_only=True):
    """What has been added since the last one."""

    content: str | UnsetType = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET
    finish_reason: str | UnsetType = UNSET


class EmbedResponse(_Output, frozen=True, kw_only=True):
    """One vector for each text, in order."""

    embeddings: list[list[float]]
    usage: TokenUsage
    cost: float | None
    model: str
    provider: str
    metadata: ResponseMetadata


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A name that a spell may use."""

    name: str
    model: str
    """What answers to it."""
    source: Literal["operator", "alias", "default", "local"]


class ModelsResponse(Struct, frozen=True, kw_only=True):
    """The models that this spell may use."""

    default: str | None
    """What answers when the spell names no model."""
    allow: list[str]
    """Patterns of what else it may name."""
    models: list[ModelInfo]
