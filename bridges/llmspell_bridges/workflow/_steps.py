"""One step: its work, its time, its repetitions, and what a failure means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from .._context import CallContext
from .._errors import BridgeError
from ..llm import LlmBridge
from ..llm._retry import repeat
from ..llm._types import TokenUsage
from ..tools import ToolsBridge
from ._plan import Deed, Part, Plan, model_request
from ._template import render
from ._types import Progress, Retry, StepError, StepResult

Emit = Callable[[Progress], None]
Nested = Callable[[Plan, dict[str, Any]], Awaitable["Output"]]
"""Runs a workflow inside a step, on an input."""

_PASSING: Final = frozenset({"Script", "Timeout"})
"""Kinds that a step without `on` is repeated after, besides errors that say `retryable`: a function
of the spell may succeed the next time, and nobody but the spell knows."""

MAX_PERFORMED: Final = 10_000
"""Steps of one run, those of every round counted: functions of the spell are no calls of bridges,
which the policy counts."""


class Output(Struct, frozen=True, kw_only=True):
    """What one attempt gave."""

    value: Any
    usage: TokenUsage | UnsetType = UNSET
    steps: dict[str, Any] | UnsetType = UNSET


class Performer:
    """Performs the steps of one run of a workflow, nested ones included."""

    def __init__(self, ctx: CallContext) -> None:
        self.ctx: CallContext = ctx
        """The call that runs the workflow."""
        # Nested workflows have a bound of their own each; together they have the policy's.
        self._room = asyncio.Semaphore(ctx.policy.max_concurrent)

        self._performed = 0

    async def perform(
        self, part: Part, context: Mapping[str, Any], nested: Nested, emit: Emit
    ) -> StepResult:
        """Perform a step. Raises `BridgeError` that names it, if its failure is the workflow's."""
        name = part.name
        self._performed += 1
        if self._performed > MAX_PERFORMED:
            raise BridgeError("Limit", f"one run performs at most {MAX_PERFORMED} steps")
        emit(Progress(event="step_started", step=name))
        began = time.monotonic()
        result = await self._outcome(part, context, nested, emit)
        result = replace(result, duration=time.monotonic() - began)
        emit(
            Progress(
                event="step_finished",
                step=name,
                status=result.status,
                duration=result.duration,
                error=result.error,
            )
        )
        return result

    async def _outcome(
        self, part: Part, context: Mapping[str, Any], nested: Nested, emit: Emit
    ) -> StepResult:
        trial = _Trial(part.name, context, nested, emit)
        try:
            return trial.completed(await self._attempts(part.deed, trial))
        except BridgeError as error:
            failure = error
        strategy = part.step.on_error
        said = StepError(kind=failure.kind, message=failure.message)
        if strategy == "skip":
            return StepResult(status="skipped", attempts=trial.attempts, error=said)
        if strategy == "continue":
            return StepResult(status="failed", attempts=trial.attempts, error=said)
        if part.instead is None:
            raise prefixed(failure, f"step '{part.name}'") from failure
        try:
            output = await self._attempts(part.instead, trial)
        except BridgeError as error:
            raise prefixed(error, f"step '{part.name}'") from error
        return replace(trial.completed(output), fallback=True, error=said)

    async def _attempts(self, deed: Deed, trial: _Trial) -> Output:
        async def attempt(_: int) -> Output:
            trial.attempts += 1
            try:
                output = await self._do(deed, trial)
                if deed.output:
                    await deed.output.check(output.value, "output")
            except BridgeError as error:
                trial.failed(error)
                raise
            return output

        retry = deed.work.retry
        left = self.ctx.time_left()
        return await repeat(attempt, retry, retry.attempts, left, _may_repeat(retry))

    async def _do(self, deed: Deed, trial: _Trial) -> Output:
        if deed.workflow:  # whose own steps take the room
            given = self._rendered(deed.work.args, "args", trial.context)
            values = trial.context["input"] if given is None else given
            return await _within(deed.work.timeout, trial.nested(deed.workflow, values))
        async with self._room:
            return await _within(deed.work.timeout, self._ask(deed, trial.context))

    async def _ask(self, deed: Deed, context: Mapping[str, Any]) -> Output:
        """What a function, a tool, an agent or a model says."""
        work = deed.work
        if work.run:
            return Output(value=await self.ctx.invoke(work.run, context))
        if work.tool:
            return await self._tool(work.tool, self._rendered(work.args or {}, "args", context))
        prompt = self._rendered(work.prompt, "prompt", context)
        if deed.agent:
            return _answer(await deed.agent.run_within(self.ctx, prompt))
        llm = self.ctx.bridge("llm", LlmBridge)
        request = model_request(work, prompt)
        return _answer(
            await self.ctx.nested(
                "llm.complete", request, work=lambda inner: llm.complete(inner, request)
            )
        )

    async def _tool(self, name: str, args: dict[str, Any]) -> Output:
        tools = self.ctx.bridge("tools", ToolsBridge)
        found = await self.ctx.nested(
            "tools.call", name, args, work=lambda inner: tools.call(inner, name, args)
        )
        return Output(value=msgspec.to_builtins(found, builtin_types=(bytes,)))

    def _rendered(self, given: Any, field: str, context: Mapping[str, Any]) -> Any:
        return render(given, variables(context), field, self.ctx.policy.max_request)


class _Trial:
    """What the attempts at one step have in common, those of its fallback included."""

    def __init__(self, name: str, context: Mapping[str, Any], nested: Nested, emit: Emit) -> None:
        self.name = name
        self.context = context
        self.nested = nested
        self.emit = emit
        self.attempts = 0

    def failed(self, error: BridgeError) -> None:
        """Tell that the latest attempt came to nothing."""
        said = StepError(kind=error.kind, message=error.message)
        self.emit(Progress(event="step_failed", step=self.name, attempt=self.attempts, error=said))

    def completed(self, output: Output) -> StepResult:
        """The result, without its duration."""
        return StepResult(
            status="completed",
            output=output.value,
            attempts=self.attempts,
            usage=output.usage,
            steps=output.steps,
        )


async def _within(seconds: float | None, doing: Awaitable[Output]) -> Output:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await doing
    except TimeoutError:
        if not limit.expired():
            raise
        message = f"not done within {seconds:g} s"
        raise BridgeError("Timeout", message, retryable=True, duration=seconds) from None


def variables(context: Mapping[str, Any]) -> dict[str, Any]:
    """What placeholders find: what is reserved, before steps, before the input."""
    steps = context.get("steps", {})
    found = {**context["input"], **{name: _readable(steps[name]) for name in steps}}
    return {**found, **context}


def _readable(record: Mapping[str, Any]) -> dict[str, Any]:
    """A step as placeholders see it: one that failed has no output, one that was skipped an empty."""
    if record["status"] == "failed":
        return {"status": "failed"}
    return {"status": record["status"], "output": record["output"]}


def prefixed(error: BridgeError, where: str) -> BridgeError:
    """The same error, with where it happened in front of its message."""
    return BridgeError(
        error.kind,
        f"{where}: {error.message}",
        retryable=error.retryable,
        retry_after=error.retry_after,
        field=error.field,
        duration=error.duration,
    )


def _answer(answer: Any) -> Output:
    """The answer of an agent or a model: its data where it has any, else its text."""
    found = msgspec.to_builtins(answer, builtin_types=(bytes,))
    value = found.get("data")
    usage = msgspec.convert(found["usage"], TokenUsage) if found.get("usage") else UNSET
    return Output(value=found["content"] if value is None else value, usage=usage)


def _may_repeat(retry: Retry) -> Callable[[BaseException], bool]:
    def decide(error: BaseException) -> bool:
        if not isinstance(error, BridgeError):
            return False
        if retry.on is not None:
            return error.kind in retry.on
        return error.retryable or error.kind in _PASSING

    return decide
