"""What scripts send to agents and get back."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, field

from llmspell_protocol import ObjectHandle, ScriptFunction

from ..._objects import TextAnswer
from .._types import Count, Name, Retries, Schema, Seconds, Temperature, TokenUsage

AgentName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,47}$")]
Turns = Annotated[int, Meta(ge=1, le=100)]

DEFAULT_TURNS: Final = 10
"""Answers of the model in one run: the library's own default."""


class Guardrails(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Functions of the spell that look at what goes in and what comes out.

    Each gets the text and returns true, or why it refuses.
    """

    input: Annotated[list[ScriptFunction], Meta(description="before the model is asked")] = []
    output: Annotated[list[ScriptFunction], Meta(description="before the answer is given")] = []


class AgentTool(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A function of the spell as a tool of one agent, or another agent in its place."""

    name: Annotated[str | None, Meta(description="letters, digits, _ and -, 64 at most")] = None
    description: Annotated[str, Meta(description="what it does, for the model")] = ""
    parameters: Annotated[
        Schema | list[Any], Meta(description="JSON Schema of its arguments, an object")
    ] = {}
    handler: Annotated[
        ScriptFunction | None, Meta(description="called with the arguments, returns the result")
    ] = None
    agent: int | None = field(default=None, name="@object")
    """An agent crosses as a map as well, and a map is read as one type only."""


class AgentOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an agent is made of."""

    name: Annotated[AgentName, Meta(description="letters, digits, _ and -")] = "agent"
    description: Annotated[str, Meta(description="what it is good at, for other agents")] = ""
    model: Annotated[Name | None, Meta(description="model, or an alias")] = None
    provider: Annotated[Name | None, Meta(description="who serves the model")] = None
    system: Annotated[str | None, Meta(description="what it is told before anything else")] = None
    tools: Annotated[
        list[str | AgentTool],
        Meta(description="names of tools, functions of the spell, and other agents"),
    ] = []
    mcp: Annotated[list[str], Meta(description="MCP servers whose tools it has, all of them")] = []
    handoffs: Annotated[
        list[ObjectHandle], Meta(description="agents that may take the conversation over")
    ] = []
    guardrails: Annotated[Guardrails, Meta(description="what looks at input and output")] = (
        Guardrails()
    )
    output_schema: Annotated[
        Schema | list[Any] | None,
        Meta(description="JSON Schema of the answer, which is read into data"),
    ] = None
    temperature: Annotated[Temperature | None, Meta(description="0 is the least random")] = None
    max_tokens: Annotated[Count | None, Meta(description="tokens of one answer at most")] = None
    max_turns: Annotated[Turns, Meta(description="answers of the model in one run")] = DEFAULT_TURNS
    timeout: Annotated[Seconds | None, Meta(description="seconds of one attempt")] = None
    retries: Annotated[Retries, Meta(description="when a call of the model is repeated")] = (
        Retries()
    )


class ConversationOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a conversation is kept."""

    name: Annotated[
        str | None,
        Meta(description="keeps it beyond the run, for this spell; without one it ends with it"),
    ] = None


class ParallelTask(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of several things that agents do at the same time."""

    agent: Annotated[ObjectHandle, Meta(description="who does it")]
    input: Annotated[str, Meta(description="what")]


class ToolUse(Struct, frozen=True, kw_only=True):
    """A tool that the agent has used."""

    name: str
    arguments: Any
    """As the model wrote them."""
    output: str
    """What the model was told, its beginning."""
    ok: bool


class AgentAnswer(TextAnswer, frozen=True, kw_only=True):
    """The answer of an agent: a text, and what lies behind it."""

    data: Any = UNSET
    """The answer read as JSON, where the agent has an `output_schema`."""
    agent: str
    """Who answered in the end: another one, after a hand-off."""
    usage: TokenUsage
    """Summed over the turns, those of other agents that were used as tools included."""
    cost: float | None
    """US dollars; null when the price of a model is not known."""
    model: str
    provider: str
    finish_reason: str
    turns: int
    """Answers of the model that it took."""
    tool_calls: list[ToolUse]
    """In the order in which the model asked for them."""


class AgentText(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A piece of what the model writes."""

    agent: str
    content: str


class AgentToolCall(Struct, frozen=True, kw_only=True, tag_field="type", tag="tool_call"):
    """A tool begins."""

    agent: str
    id: str
    name: str
    arguments: Any


class AgentToolResult(Struct, frozen=True, kw_only=True, tag_field="type", tag="tool_result"):
    """A tool has ended."""

    agent: str
    id: str
    name: str
    output: str


class AgentHandoff(Struct, frozen=True, kw_only=True, tag_field="type", tag="handoff"):
    """Another agent takes over."""

    agent: str
    to: str


AgentChunk = AgentText | AgentToolCall | AgentToolResult | AgentHandoff


class Turn(Struct, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str
