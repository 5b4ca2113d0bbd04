"""Runs a spell again, answered from a recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final, Literal

import msgspec

from llmspell_bridges import (
    BoundMethod,
    BridgeError,
    BudgetExceeded,
    CallContext,
    ScriptError,
    Stream,
    off_the_clock,
)
from llmspell_protocol import Call, pack
from llmspell_supervisor import Policy, RunReport, Spell

from ..spells._overlay import Overlay, Stage, StagedSupervisor, Stood
from ._clock import WAIT
from ._difference import Difference, Differs, canonical, first_difference
from ._file import Event, Fault, Recorded, Recording, from_json, to_json
from ._record import Fixed, ending_of, run_fixed
from ._redaction import Redactor
from ._trace import ServedStream

PATIENCE: Final = 5.0
"""Seconds beyond those of the recorded run that a call may keep others waiting for it."""

AT_ONCE: Final = 1e9
"""The speed of a clock that nobody waits for."""
GIVEN_UP: Final = ("open", "closed")
"""Ends of calls that nothing was answered to."""


class Player:
    """Serves the calls of one recording, in the order in which they happened.

    What was under way at once then is under way at once now: an answer waits for whatever came
    before it, be it the beginning of another call.
    """

    def __init__(self, recording: Recording) -> None:
        self._calls = recording.calls
        self._patience = recording.wall + PATIENCE
        self._redactor = Redactor({}, {}, {})
        self._opened = 0
        moments = {call.at for call in self._calls}
        # What the script gave up, or what the end of the run did, is not waited for.
        moments |= {call.ended_at for call in self._calls if call.ended not in GIVEN_UP}
        moments |= {step.at for call in self._calls for step in call.steps}
        self._coming = sorted(moments)
        self._next = 0
        self._over: set[int] = set()
        self._arrived: dict[int, tuple[object, Recorded]] = {}
        """By the identity of their arguments."""
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def serve(self, method: BoundMethod) -> BoundMethod:
        """`method`, answered from the recording."""
        return _Served(method, self)

    def unmade(self) -> Difference | None:
        """The first call of the recording that the spell did not make."""
        if self._opened == len(self._calls):
            return None
        call = self._calls[self._opened]
        what = f"{self._name(call.method)}: the spell does not make it"
        return Difference(what=what, recorded={call.method: call.args}, now=None)

    def arrived(self, message: Call) -> None:
        """The script has made a call: the next of the recording. Raises `Differs` if it is not."""
        method = message.method
        what = self._name(method)
        given = to_json(self._redactor.value(msgspec.msgpack.decode(message.args)))
        if self._opened == len(self._calls):
            what = f"{what}: the recording has no more calls"
            raise Differs(Difference(what=what, recorded=None, now={method: given}))
        call = self._calls[self._opened]
        if call.method != method:
            what = f"{what}: another method is called"
            raise Differs(Difference(what=what, recorded=call.method, now=method))
        found = first_difference(call.args, given)
        if found is not None:
            place, recorded, now = found
            what = f"{what}: argument {_place(place)} differs"
            raise Differs(Difference(what=what, recorded=recorded, now=now))
        self._opened += 1
        self._arrived[id(message.args)] = (message.args, call)
        self.done(call.at)

    def begun(self, args: bytes | msgspec.Raw) -> Recorded:
        """The recorded call in whose place this one is served."""
        return self._arrived.pop(id(args))[1]

    def _name(self, method: str) -> str:
        """The next call as people count them: a timer is none."""
        if method == WAIT:
            return "a timer"
        before = sum(call.method != WAIT for call in self._calls[: self._opened])
        return f"call {before + 1}, {method}"

    async def turn(self, moment: int) -> None:
        """Wait for all that came before. Raises `Differs` when the spell does not do it."""
        if self._coming[self._next] == moment:
            return
        turn = self._waiting[moment] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except TimeoutError:
            unmade = self.unmade()
            raise Differs(unmade or Difference(what="the run stands", compared=False)) from None

    def done(self, moment: int) -> None:
        """What was recorded at `moment` has happened."""
        self._over.add(moment)
        while self._next < len(self._coming) and self._coming[self._next] in self._over:
            self._next += 1
        if self._next < len(self._coming):
            turn = self._waiting.pop(self._coming[self._next], None)
            if turn is not None and not turn.done():
                turn.set_result(None)


class _Served(Stood):
    def __init__(self, method: BoundMethod, player: Player) -> None:
        super().__init__(method)
        self._player = player

    async def call(self, ctx: CallContext, args: bytes | msgspec.Raw) -> bytes:
        call = self._player.begun(args)
        with off_the_clock():
            async for _ in self._steps(ctx, call):
                pass
            return await self._end(call)

    def stream(self, ctx: CallContext, args: bytes | msgspec.Raw) -> Stream:
        call = self._player.begun(args)

        async def give(outer: ServedStream) -> AsyncGenerator[bytes, None]:
            async for chunk in self._steps(ctx, call):
                yield chunk
            outer.closing = await self._end(call)

        return ServedStream(self.name, ctx, give)

    async def _steps(self, ctx: CallContext, call: Recorded) -> AsyncGenerator[bytes, None]:
        """Everything of a call but its end. Functions of the script may be open at once."""
        invoked: list[asyncio.Task[None]] = []
        try:
            for step in call.steps:
                await self._player.turn(step.at)
                if step.kind == "invoke":
                    invoked.append(asyncio.create_task(_invoke(ctx, call, step)))
                    await asyncio.sleep(0)  # it is sent before what came after it
                self._player.done(step.at)
                if step.kind == "chunk":
                    yield pack(from_json(step.value))
            await asyncio.gather(*invoked)
        finally:
            for task in invoked:
                task.cancel()

    async def _end(self, call: Recorded) -> bytes:
        if call.ended in GIVEN_UP:
            await asyncio.get_running_loop().create_future()  # until the script gives it up
        await self._player.turn(call.ended_at)
        self._player.done(call.ended_at)
        if call.budget is not None:
            what, asked, left = call.budget
            raise BudgetExceeded(what, asked=asked, left=left)
        if call.error is not None:
            raise _error(call.error)
        return pack(from_json(call.value))


async def _invoke(ctx: CallContext, call: Recorded, step: Event) -> None:
    """Call a function of the script; what it gives must be as recorded."""
    assert ctx.script is not None
    place = f"{call.method}: what function {step.function} of the script gives"
    try:
        data = await ctx.script.invoke(step.function, pack(from_json(step.args)))
        now = {"value": to_json(Redactor({}, {}, {}).value(msgspec.msgpack.decode(data)))}
    except ScriptError as error:
        now = {"error": {"kind": error.kind, "message": error.message}}
    recorded: dict[str, Any] = {"value": step.value}
    if step.error is not None:
        recorded = {"error": {"kind": step.error.kind, "message": step.error.message}}
    found = first_difference(recorded, now)
    if found is not None:
        raise Differs(Difference(what=f"{place} differs", recorded=found[1], now=found[2]))


def _error(fault: Fault) -> BridgeError:
    return BridgeError(
        fault.kind,
        fault.message,
        retryable=fault.retryable,
        retry_after=fault.retry_after,
        field=fault.field,
        duration=fault.duration,
    )


def _place(path: str) -> str:
    """`[0].messages[1]` as people count: `1.messages[1]`."""
    index, _, rest = path.removeprefix("[").partition("]")
    return f"{int(index) + 1}{rest}" if index.isdecimal() else path


async def replay(
    supervisor: StagedSupervisor,
    recording: Recording,
    spell: Spell | None = None,
    *,
    isolation: Literal["strict", "degraded"] = "strict",
) -> tuple[RunReport | None, Difference | None]:
    """Run the recorded spell, or `spell`, again: its report, and the first difference if any.

    The report is missing when a difference ended the run. Raises as `Supervisor.run`.
    """
    text = recording.spell
    spell = spell or Spell(text.name, text.source, text.engine)
    player = Player(recording)
    stage = Stage(
        registry=lambda below: Overlay(below, stand_in=player.serve),
        env=recording.env,
        on_call=player.arrived,
    )
    bridges = tuple(_grants(recording))
    policy = Policy(**recording.limits, allow_bridges=bridges, isolation=isolation)
    fixed = Fixed(recording.seed, recording.clock, speed=AT_ONCE)
    params = from_json(recording.params)
    try:
        report = await run_fixed(supervisor, spell, fixed, stage, params=params, policy=policy)
    except Differs as differs:
        return None, differs.difference
    now = ending_of(report, Redactor({}, {}, {}))
    return report, player.unmade() or _ending(recording, msgspec.to_builtins(now))


def _grants(recording: Recording) -> list[str]:
    return ["library.require" if name == "library" else name for name in recording.bridges]


def _ending(recording: Recording, now: dict[str, Any]) -> Difference | None:
    recorded = msgspec.to_builtins(recording.result)
    if canonical(recorded) == canonical(now):
        return None
    found = first_difference(recorded, now)
    assert found is not None  # the bytes differ
    place, before, after = found
    return Difference(what=f"the result differs: {place.lstrip('.')}", recorded=before, now=after)
