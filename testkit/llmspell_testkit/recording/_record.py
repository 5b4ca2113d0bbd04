"""Runs a spell and keeps what it asked and was answered."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from llmspell_bridges import BoundMethod, BridgeConfig, CallContext
from llmspell_protocol import pack
from llmspell_supervisor import Policy, RunReport, Spell
from llmspell_supervisor._policy import FIELDS, LIMITS

from ..spells._free import KitBudget
from ..spells._overlay import Overlay, Stage, StagedSupervisor, Stood, staged
from ..spells._wrap import shadowed, unwrap, wrap
from ._clock import NAME, RecordedClock
from ._file import Ending, Recording, recorded, text_of, to_json
from ._redaction import Redactor
from ._trace import Trace, Traced

SCRIPT: Final = "llmspell_testkit.recording:determined"
"""What gives a spell its chances and its clock; see `spells._wrap`."""


class Fixed(Struct, frozen=True):
    """What would be different in every run, fixed."""

    seed: tuple[int, int, int, int]
    """Four numbers below 2^32."""
    clock: int
    """Milliseconds since 1970 when the run begins."""
    speed: float = 1.0
    """How many times faster than real ones its sleeps and timers are over."""

    def setup(self) -> dict[str, Any]:
        """As the script takes it."""
        return {"seed": self.seed, "clock": self.clock, "speed": self.speed}


def new_fixed() -> Fixed:
    """Of a run that is recorded now."""
    a, b, c, d = (secrets.randbits(32) for _ in range(4))
    return Fixed((a, b, c, d), time.time_ns() // 1_000_000)


async def run_fixed(
    supervisor: StagedSupervisor,
    spell: Spell,
    fixed: Fixed,
    stage: Stage,
    *,
    params: Mapping[str, Any],
    policy: Policy,
) -> RunReport:
    """Run a spell under fixed chances and clock. Raises as `Supervisor.run`."""
    setup = fixed.setup()
    if spell.engine != "lua":  # where a spell that sleeps does nothing else
        if NAME not in supervisor.bridges.names:
            supervisor.bridges.add(RecordedClock(BridgeConfig()))
        clock, registry = RecordedClock(BridgeConfig(), fixed.speed), stage.registry
        bridges = (*policy.allow_bridges, NAME)
        most = FIELDS["max_concurrent"].type.__metadata__[0].le
        policy = replace(policy, allow_bridges=bridges, max_concurrent=most)
        stage = replace(
            stage,
            budget=KitBudget,
            registry=lambda below: Overlay(
                registry(Overlay(below, [clock])), stand_in=_with_shadows
            ),
        )
    wrapped = staged(wrap(spell, SCRIPT, setup), stage)
    report = await supervisor.run(wrapped, params=params, policy=policy)
    return unwrap(report, spell, SCRIPT, setup)


class _ShadowedLibrary(Stood):
    """Gives libraries the spell's own clock; what is recorded is their text as it is."""

    async def call(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        text = msgspec.msgpack.decode(await self.method.call(ctx, args), type=str)
        return pack(shadowed(text, SCRIPT))


def _with_shadows(method: BoundMethod) -> BoundMethod:
    return _ShadowedLibrary(method) if method.name == "library.require" else method


async def record(
    supervisor: StagedSupervisor, spell: Spell, *, params: Mapping[str, Any], policy: Policy
) -> tuple[RunReport, Recording]:
    """Run a spell and keep the run. Raises as `Supervisor.run`."""
    trace, fixed = Trace(), new_fixed()
    stage = Stage(
        registry=lambda below: Overlay(below, stand_in=trace.watch), on_call=trace.arrived
    )
    report = await run_fixed(supervisor, spell, fixed, stage, params=params, policy=policy)
    env = {name: os.environ[name] for name in policy.allow_env if name in os.environ}
    redactor = Redactor(env, params, os.environ)
    recording = Recording(
        spell=text_of(spell, redactor.text(spell.source)),
        params=to_json(redactor.value(dict(params))),
        env={name: f"[redacted {name}]" for name in sorted(env)},
        bridges=list(policy.bridges),
        limits=_limits(policy),
        seed=fixed.seed,
        clock=fixed.clock,
        wall=round(report.usage.wall, 3),
        calls=[recorded(_redacted(call, redactor)) for call in trace.calls],
        result=ending_of(report, redactor),
    )
    return report, recording


def _limits(policy: Policy) -> dict[str, Any]:
    return {
        name: getattr(policy, name)
        for name in LIMITS
        if getattr(policy, name) != FIELDS[name].default
    }


def _redacted(call: Traced, redactor: Redactor) -> Traced:
    for step in call.steps:
        step.value, step.args = redactor.value(step.value), redactor.value(step.args)
    call.args, call.value = redactor.value(call.args), redactor.value(call.value)
    return call


def ending_of(report: RunReport, redactor: Redactor) -> Ending:
    """What is compared of two runs."""
    problem = report.problem
    told = None
    if problem is not None:
        told = {
            "message": redactor.text(problem.message),
            "kind": problem.error.kind if problem.error else None,
            "line": problem.line,
            "column": problem.column,
        }
    return Ending(
        verdict=report.verdict,
        value=to_json(redactor.value(report.value)),
        logs=[(entry.level, redactor.text(entry.text)) for entry in report.logs],
        problem=told,
    )
