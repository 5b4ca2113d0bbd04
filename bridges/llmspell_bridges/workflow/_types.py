"""What scripts send to `workflow` and get back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from llmspell_protocol import ErrorKind, ObjectHandle, ScriptFunction

from ..llm._types import Count, Retries, Schema, Seconds, TokenUsage

MAX_ROUNDS = 1000
"""Rounds of one loop. A run has 200 calls by default; this bounds what it keeps of them."""

Kind = Literal["sequential", "parallel", "conditional", "loop", "dag"]
Status = Literal["completed", "failed", "skipped"]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
"""A name that a placeholder can look up."""
Label = Annotated[str, Meta(min_length=1, max_length=200)]
RunId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""A name that is a file's as well."""
Folder = Annotated[str, Meta(min_length=1)]
Pause = Annotated[float, Meta(ge=0.01, le=86_400)]
HookPath = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_/-]{0,100}$")]
Several = Annotated[int, Meta(ge=1, le=64)]
Rounds = Annotated[int, Meta(ge=0, le=MAX_ROUNDS)]


class _Input(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From a script: what is unknown is refused by name."""


class Retry(Retries, frozen=True, kw_only=True):
    """When a step is repeated."""

    attempts: Annotated[int, Meta(ge=1, le=10, description="attempts in all")] = 3
    on: Annotated[
        list[ErrorKind] | None,
        Meta(description="kinds of error to repeat after; by default whatever may pass"),
    ] = None


class _Work(_Input, frozen=True, kw_only=True):
    """What is done: exactly one of `agent`, `tool`, `run`, `workflow`, or a model's prompt."""

    agent: Annotated[ObjectHandle | None, Meta(description="an agent, which gets the prompt")] = (
        None
    )
    tool: Annotated[str | None, Meta(description="a tool by its name, which gets args")] = None
    run: Annotated[
        ScriptFunction | None, Meta(description="a function, which gets the context")
    ] = None
    workflow: Annotated[
        ObjectHandle | None, Meta(description="another workflow, which gets args, or the input")
    ] = None
    model: Annotated[str | None, Meta(description="a model, which gets the prompt")] = None
    prompt: Annotated[
        str | None, Meta(description="text with placeholders: {{topic}}, {{step.output}}")
    ] = None
    options: Annotated[
        dict[str, Any], Meta(description="further options of llm.complete, for a model")
    ] = field(default_factory=dict)
    args: Annotated[
        dict[str, Any] | None,
        Meta(description="arguments of a tool or input of a workflow, with placeholders"),
    ] = None
    output: Annotated[
        Schema | list[Any] | None, Meta(description="JSON Schema of what it gives; else it failed")
    ] = None
    timeout: Annotated[Seconds | None, Meta(description="seconds of one attempt")] = None
    retry: Annotated[Retry, Meta(description="when it is repeated")] = Retry(attempts=1)


class Fallback(_Work, frozen=True, kw_only=True):
    """What is done instead of a step that failed."""


class Step(_Work, frozen=True, kw_only=True):
    """One step of a workflow."""

    name: Annotated[Name, Meta(description="how results and placeholders name it")]
    after: Annotated[
        list[str] | None, Meta(description="steps of a dag that are done before it")
    ] = None
    on_error: Annotated[
        Literal["fail", "skip", "continue"] | Fallback,
        Meta(description="what a failure means for the workflow, or what to do instead"),
    ] = "fail"


class Options(_Input, frozen=True, kw_only=True):
    """What every workflow can be told."""

    name: Annotated[Label, Meta(description="what it is called")] = "workflow"
    description: Annotated[str, Meta(max_length=2000, description="what it does")] = ""
    input: Annotated[
        Schema | list[Any] | None, Meta(description="JSON Schema of the values that it runs on")
    ] = None


class ParallelOptions(Options, frozen=True, kw_only=True):
    """A workflow whose steps run at the same time."""

    aggregate: Annotated[
        ScriptFunction | None,
        Meta(description="makes one output of all: it gets a map of them and the context"),
    ] = None
    max_concurrent: Annotated[
        Several | None, Meta(description="steps at once; the policy's max_concurrent")
    ] = None


class DagOptions(Options, frozen=True, kw_only=True):
    """A workflow whose steps say what they come after."""

    max_concurrent: Annotated[
        Several | None, Meta(description="steps at once; the policy's max_concurrent")
    ] = None


class ConditionalOptions(Options, frozen=True, kw_only=True):
    """A workflow of which one step runs."""

    choose: Annotated[
        ScriptFunction | str,
        Meta(description="a function that gives the branch, or a text with placeholders"),
    ]
    branches: Annotated[
        dict[str, str] | None,
        Meta(description="the step for each answer; by default steps go by their own names"),
    ] = None
    otherwise: Annotated[str | None, Meta(description="the step for every other answer")] = None


class LoopOptions(Options, frozen=True, kw_only=True):
    """A workflow that goes round: exactly one of `over`, `times` and `condition`."""

    over: Annotated[
        list[Any] | str | ScriptFunction | None,
        Meta(description="the items: a list, a placeholder of one, or a function that gives it"),
    ] = None
    times: Annotated[Rounds | None, Meta(description="how many rounds there are")] = None
    condition: Annotated[
        ScriptFunction | None, Meta(description="whether there is another round")
    ] = None
    max_rounds: Annotated[
        int, Meta(ge=1, le=MAX_ROUNDS, description="more rounds than that are an error")
    ] = 100


class RunOptions(_Input, frozen=True, kw_only=True):
    """How a workflow is run."""

    id: Annotated[
        RunId | None, Meta(description="keep the run under this name, so that it can be resumed")
    ] = None


class Problem(Struct, frozen=True, kw_only=True):
    """Something that keeps a workflow from running."""

    message: str
    step: str | UnsetType = UNSET
    field: str | UnsetType = UNSET


class Validation(Struct, frozen=True, kw_only=True):
    """Whether a workflow can run, and what is in the way."""

    valid: bool
    problems: list[Problem]


class StepInfo(Struct, frozen=True, kw_only=True):
    """One step as `metadata` shows it."""

    name: str
    does: Literal["agent", "tool", "function", "workflow", "model"]
    after: list[str]
    """Steps that are done before it begins."""
    on_error: Literal["fail", "skip", "continue", "fallback"]
    workflow: Any = UNSET
    """The metadata of a nested workflow."""


class Metadata(Struct, frozen=True, kw_only=True):
    """What a workflow is."""

    name: str
    description: str
    kind: Kind
    steps: list[StepInfo]


class StepError(Struct, frozen=True, kw_only=True):
    """Why a step failed."""

    kind: ErrorKind
    message: str


class StepResult(Struct, frozen=True, kw_only=True):
    """What came of a step."""

    status: Status
    output: Any = None
    duration: float = 0.0
    """Seconds, attempts and the waits between them included."""
    attempts: int = 1
    fallback: bool = False
    """Whether the fallback did it."""
    usage: TokenUsage | UnsetType = UNSET
    error: StepError | UnsetType = UNSET
    steps: dict[str, Any] | UnsetType = UNSET
    """Results of a nested workflow's steps."""


class Progress(Struct, frozen=True, kw_only=True):
    """Something that happened in a run."""

    event: Literal["started", "step_started", "step_failed", "step_finished"]
    """`step_failed` is said of each attempt, whatever comes of it."""
    id: str | UnsetType = UNSET
    """Of the run, when it starts."""
    step: str | UnsetType = UNSET
    """With the steps of outer workflows in front of it: `outer.inner`."""
    status: Status | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    error: StepError | UnsetType = UNSET


class WorkflowResult(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    id: str
    name: str
    status: Literal["completed"]
    input: dict[str, Any]
    output: Any
    steps: dict[str, StepResult]
    duration: float
    """Seconds of this run; what was done before it was resumed is not in it."""
    usage: TokenUsage
    """Tokens of all steps."""


class KeptRun(Struct, frozen=True, kw_only=True):
    """A run of this spell that is kept."""

    id: str
    workflow: str
    status: Literal["running", "unfinished", "completed"]
    updated: float
    """Seconds since 1970."""


class Source(_Input, frozen=True, kw_only=True):
    """What wakes a reactive workflow: exactly one of `path`, `every` and `webhook`."""

    path: Annotated[
        Folder | None, Meta(description="a directory that may be read: its changes")
    ] = None
    every: Annotated[Pause | None, Meta(description="seconds between two events")] = None
    webhook: Annotated[HookPath | None, Meta(description="path of requests, such as /deploy")] = (
        None
    )
    times: Annotated[Count | None, Meta(description="events at most; else without end")] = None


class Event(Struct, frozen=True, kw_only=True):
    """Something that a source tells."""

    source: Literal["files", "timer", "webhook"]
    event: Literal["ready", "added", "modified", "deleted", "tick", "request"]
    """`ready` comes first, of files and webhooks: nothing is missed from then on."""
    path: str | UnsetType = UNSET
    """Of the file; of the request."""
    number: int | UnsetType = UNSET
    """Of the tick, from 1."""
    url: str | UnsetType = UNSET
    """Where requests go, when a webhook is ready."""
    query: dict[str, str] | UnsetType = UNSET
    body: Any = UNSET
    """Of the request: data where it is JSON, else text."""
