"""What a workflow is made of, and whether it can run."""

from __future__ import annotations

import functools
import graphlib
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final, Literal

from msgspec import UNSET, Struct

from llmspell_protocol import ArgumentError, Signature, pack

from .._errors import BridgeError
from ..llm._types import CompletionRequest
from ..toolbox import Schema
from ._template import Placeholder, placeholders
from ._types import (
    ConditionalOptions,
    Fallback,
    Kind,
    LoopOptions,
    Metadata,
    Options,
    Problem,
    Step,
    StepInfo,
)

MAX_DEPTH: Final = 8
"""Workflows inside each other: each is a graph of its own, with checkpoints of its own."""

RESERVED: Final = ("input", "item", "index", "previous", "steps")
"""What placeholders find beside input and steps."""

_ORDERED: Final = ("sequential", "loop")
"""Kinds whose steps come one after the other as they were added."""

Does = Literal["agent", "tool", "function", "workflow", "model"]


class Deed(Struct, frozen=True, kw_only=True):
    """What a step, or its fallback, does; with what its handles stand for."""

    work: Step | Fallback
    output: Schema | None = None
    agent: Any = None
    workflow: Plan | None = None


class Part(Struct, frozen=True, kw_only=True):
    """A step of a plan."""

    step: Step
    deed: Deed
    instead: Deed | None = None
    """Its fallback."""

    @property
    def name(self) -> str:
        """Of the step."""
        return self.step.name


class Plan(Struct, frozen=True, kw_only=True):
    """A workflow as it was when it was asked to run: nothing changes it any more."""

    kind: Kind
    options: Options
    input: Schema | None = None
    parts: tuple[Part, ...]

    @property
    def names(self) -> list[str]:
        """Of the steps, in order."""
        return [part.name for part in self.parts]

    def before(self, part: Part) -> list[str]:
        """The steps that are done when `part` begins, the nearest last."""
        if self.kind in _ORDERED:
            return self.names[: self.names.index(part.name)]
        if self.kind == "dag":
            return _ancestors(self, part.name)
        return []

    def metadata(self) -> Metadata:
        """What it is, without its prompts and functions."""
        return Metadata(
            name=self.options.name,
            description=self.options.description,
            kind=self.kind,
            steps=[_info(self, part) for part in self.parts],
        )

    def shape(self) -> dict[str, Any]:
        """What must not change between a run and its resumption."""
        steps = {part.name: _step_shape(self, part) for part in self.parts}
        return {"kind": self.kind, "order": self.names, "steps": steps}


def does(work: Step | Fallback) -> Does:
    """Which of the five a step does. Raises `BridgeError` unless it is exactly one."""
    given = [name for name in ("agent", "tool", "run", "workflow") if getattr(work, name)]
    if work.model is not None or (not given and work.prompt is not None):
        given.append("model")
    if len(given) != 1:
        said = f"not {' and '.join(given)}" if given else "and there is none"
        message = f"a step has one of agent, tool, run, workflow and model, {said}"
        raise BridgeError("Validation", message, field=given[1] if given else "run")
    found: Any = "function" if given[0] == "run" else given[0]
    _check_company(work, found)
    return found  # type: ignore[no-any-return]


_COMPANY: Final = {
    "prompt": ("agent", "model"),
    "args": ("tool", "workflow"),
    "options": ("model",),
}
"""Which fields say something to which work."""


def _check_company(work: Step | Fallback, found: str) -> None:
    for field, owners in _COMPANY.items():
        given = getattr(work, field)
        if given and found not in owners:
            message = f"{field} is for {' and '.join(owners)} steps, and this is a {found} step"
            raise BridgeError("Validation", message, field=field)
    if found in ("agent", "model") and work.prompt is None:
        raise BridgeError("Validation", "required option 'prompt' is missing", field="prompt")


def check_step(kind: Kind, step: Step, taken: list[str]) -> None:
    """Refuse what is wrong with a step by itself. Raises `BridgeError` that names the field."""
    if step.name in taken or step.name in RESERVED:
        why = "there is a step" if step.name in taken else "placeholders have a meaning for"
        raise BridgeError("Validation", f"{why} '{step.name}' already", field="name")
    if step.after is not None and kind != "dag":
        raise BridgeError(
            "Validation",
            f"after: steps of a {kind} workflow have no order of their own; a dag's have",
            field="after",
        )
    for work, prefix in _works(step):
        try:
            does(work)
        except BridgeError as error:
            field = f"{prefix}{error.field}"
            raise BridgeError("Validation", f"{prefix}{error.message}", field=field) from None
        for given, field in ((work.prompt, "prompt"), (work.args, "args")):
            placeholders(given, f"{prefix}{field}")
        if work.options:
            model_request(work, "")


def model_request(work: Step | Fallback, prompt: str) -> CompletionRequest:
    """What a model is asked. Raises `BridgeError` that names a wrong option."""
    given = {**work.options, "prompt": prompt}
    if work.model is not None:
        given["model"] = work.model
    try:
        found: CompletionRequest = _request_signature().decode(pack([given]))[0]
    except ArgumentError as error:
        field = f"options.{error.field}" if error.field else "options"
        raise BridgeError("Validation", f"options: {error}", field=field) from None
    return found


@functools.cache
def _request_signature() -> Signature:
    def complete(request: CompletionRequest) -> None:
        """Only its parameter counts."""

    return Signature(complete, skip=())


def _works(step: Step) -> Iterator[tuple[Step | Fallback, str]]:
    yield step, ""
    if isinstance(step.on_error, Fallback):
        yield step.on_error, "on_error."


def problems(plan: Plan) -> list[Problem]:
    """Everything that keeps a plan from running."""
    if not plan.parts:
        return [Problem(message=f"workflow '{plan.options.name}' has no steps")]
    found = [*_bad_order(plan), *_bad_branches(plan), *_bad_loop(plan)]
    if not found:  # who comes before whom is not known before
        found += _bad_placeholders(plan)
    for part in plan.parts:
        for deed in filter(None, (part.deed, part.instead)):
            for inner in problems(deed.workflow) if deed.workflow else ():
                step = f"{part.name}.{inner.step}" if inner.step else part.name
                found.append(Problem(message=inner.message, step=step, field=inner.field))
    return found


def _bad_order(plan: Plan) -> Iterator[Problem]:
    for part in plan.parts:
        for name in part.step.after or ():
            if name not in plan.names:
                message = f"after: there is no step '{name}'{_near(name, plan.names)}"
                yield Problem(message=message, step=part.name, field="after")
    try:
        graphlib.TopologicalSorter({p.step.name: p.step.after or () for p in plan.parts}).prepare()
    except graphlib.CycleError as error:
        circle = " after ".join(reversed(error.args[1]))
        yield Problem(message=f"after: a circle: {circle}", step=error.args[1][0], field="after")


def _bad_branches(plan: Plan) -> Iterator[Problem]:
    options = plan.options
    if not isinstance(options, ConditionalOptions):
        return
    targets = [*(options.branches or {}).values(), *filter(None, (options.otherwise,))]
    for name in set(targets) - set(plan.names):
        message = f"there is no step '{name}' to branch to{_near(name, plan.names)}"
        yield Problem(message=message, field="branches")
    if options.branches is not None:
        for name in plan.names:
            if name not in targets:
                yield Problem(message="no branch leads to it", step=name, field="branches")
    lookups = placeholders(options.choose, "choose") if isinstance(options.choose, str) else ()
    for name in {str(lookup.path[0]) for lookup in lookups} & set(plan.names):
        message = f"choose: step '{name}' has not run when the branch is chosen"
        yield Problem(message=message, field="choose")


def _bad_loop(plan: Plan) -> Iterator[Problem]:
    options = plan.options
    if not isinstance(options, LoopOptions):
        return
    rounds = len(options.over) if isinstance(options.over, list) else options.times or 0
    if rounds > options.max_rounds:
        message = f"{rounds} rounds; max_rounds is {options.max_rounds}"
        yield Problem(message=message, field="max_rounds")


def _bad_placeholders(plan: Plan) -> Iterator[Problem]:
    """Look-ups of steps that have not run by then."""
    for part in plan.parts:
        known = plan.before(part)
        for work, prefix in _works(part.step):
            for given, field in ((work.prompt, "prompt"), (work.args, "args")):
                for lookup in placeholders(given, field):
                    if name := _too_early(lookup, plan.names, known):
                        message = f"{prefix}{field}: step '{name}' has not run by then"
                        yield Problem(message=message, step=part.name, field=prefix + field)


def _too_early(lookup: Placeholder, names: list[str], known: list[str]) -> str | None:
    name = str(lookup.path[0])
    return name if name in names and name not in known and not lookup.optional else None


def _near(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _ancestors(plan: Plan, name: str) -> list[str]:
    after = {part.name: part.step.after or [] for part in plan.parts}
    found: dict[str, None] = {}
    due = list(after[name])
    while due:
        step = due.pop()
        if step not in found:
            found[step] = None
            due += after[step]
    return [step for step in plan.names if step in found]


def _info(plan: Plan, part: Part) -> StepInfo:
    step = part.step
    nearest = plan.before(part)[-1:] if plan.kind != "dag" else step.after or []
    return StepInfo(
        name=step.name,
        does=does(step),
        after=list(nearest),
        on_error="fallback" if isinstance(step.on_error, Fallback) else step.on_error,
        workflow=part.deed.workflow.metadata() if part.deed.workflow else UNSET,
    )


def _step_shape(plan: Plan, part: Part) -> dict[str, Any]:
    shape: dict[str, Any] = {"does": does(part.step)}
    if plan.kind == "dag":
        shape["after"] = sorted(part.step.after or [])
    if part.deed.workflow:
        shape["workflow"] = part.deed.workflow.shape()
    return shape


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """How two shapes differ, in words."""
    if old["kind"] != new["kind"]:
        where = f"workflow '{prefix[:-1]}'" if prefix else "the workflow"
        return [f"{where} was {old['kind']} and is {new['kind']}"]
    gone = [f"step '{prefix}{n}' is gone" for n in old["order"] if n not in new["steps"]]
    added = [f"step '{prefix}{n}' is new" for n in new["order"] if n not in old["steps"]]
    found = gone + added
    if not found and new["kind"] in _ORDERED and old["order"] != new["order"]:
        found.append(f"the order was {', '.join(old['order'])}")
    for name, before in old["steps"].items():
        if name in new["steps"]:
            found += _step_differences(before, new["steps"][name], f"{prefix}{name}")
    return found


def _step_differences(old: dict[str, Any], new: dict[str, Any], name: str) -> list[str]:
    if old["does"] != new["does"]:
        return [f"step '{name}' was of kind {old['does']} and is of kind {new['does']}"]
    if old.get("after") != new.get("after"):
        return [f"step '{name}' came after {', '.join(old['after']) or 'nothing'}"]
    if "workflow" in old:
        return differences(old["workflow"], new["workflow"], f"{name}.")
    return []
