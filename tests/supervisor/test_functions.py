"""Functions of the script, called by the host: against a worker that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from msgspec import Raw

from llmspell_bridges import (
    Bridge,
    BridgeConfig,
    BridgeObject,
    BridgeRegistry,
    CallContext,
    ScriptError,
    ScriptFunction,
    method,
)
from llmspell_protocol import (
    Call,
    ErrorInfo,
    Fault,
    Invoke,
    Raise,
    Reply,
    Result,
    Return,
    pack,
    unpack,
)
from llmspell_supervisor import Policy, RunReport
from tests.supervisor.scripted import Peer, ScriptedZygote, new_run

NULL = Raw(pack(None))


class Ghost(BridgeObject):
    """Notes its end."""

    name: ClassVar[str] = "ghost"

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def close(self) -> None:
        """Writes it down."""
        self.log.append("closed")


class Caller(Bridge):
    """Calls functions, and writes down what came of it."""

    name: ClassVar[str] = "caller"
    objects: ClassVar[tuple[type[BridgeObject], ...]] = (Ghost,)

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.log: list[str] = []
        self.later: asyncio.Task[Any] | None = None
        self.context: CallContext | None = None

    @method
    async def call(self, ctx: CallContext, run: ScriptFunction) -> Any:
        """What the function returns."""
        try:
            return await ctx.invoke(run, "x")
        finally:
            self.log.append("over")

    @method
    async def first(self, ctx: CallContext, run: ScriptFunction) -> str:
        """Gives up one call of the function, and makes another."""
        task = asyncio.create_task(ctx.invoke(run))
        while not self.log:  # noqa: ASYNC110 - the test says when
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return str(await ctx.invoke(run))

    @method
    async def remember(self, ctx: CallContext, run: ScriptFunction) -> None:
        """Leaves a task behind that waits for a function."""
        self.context = ctx
        self.later = asyncio.create_task(self._later(ctx, run))

    async def _later(self, ctx: CallContext, run: ScriptFunction) -> None:
        for _ in range(2):
            try:
                await ctx.invoke(run)
            except ScriptError as error:
                self.log.append(error.message)

    @method
    async def ghost(self, ctx: CallContext) -> Ghost:
        """An object."""
        return Ghost(self.log)


def call(number: int, name: str, function: int = 1) -> Call:
    args: list[Any] = [{"@function": function}] if name != "ghost" else []
    return Call(number, f"caller.{name}", Raw(pack(args)))


def play(
    script: Callable[[Peer, Caller], Awaitable[None]], **policy: Any
) -> tuple[RunReport, Caller]:
    """Run a script of what the worker says, after Start."""

    async def once() -> tuple[RunReport, Caller]:
        bridge = Caller()

        async def whole(peer: Peer) -> None:
            await peer.begin()
            await script(peer, bridge)

        granted = Policy(**{"allow_bridges": ("caller",), **policy})
        run = new_run(granted, registry=BridgeRegistry([bridge]))
        report = await run.execute(ScriptedZygote(whole))  # type: ignore[arg-type]
        if bridge.later:
            await bridge.later
        return report, bridge

    return asyncio.run(once())


def answered(answer: Return | Raise) -> Any:
    """What the call gets whose function is answered so."""
    heard: list[Any] = []

    async def script(peer: Peer, _: Caller) -> None:
        peer.send(call(1, "call"))
        assert await peer.receive() == Invoke(1, 1, Raw(pack(["x"])))
        peer.send(answer)
        heard.append(await peer.receive())
        peer.send(Result(NULL))

    report, _ = play(script, max_request=1000)
    assert report.verdict == "ok", report.problem
    return heard[0]


def test_a_value_goes_to_whoever_called() -> None:
    answer = answered(Return(1, Raw(pack({"a": [1]}))))
    assert isinstance(answer, Reply)
    assert unpack(answer.value) == {"a": [1]}


def test_an_error_goes_to_whoever_called_and_through_it_to_the_script() -> None:
    error = ErrorInfo("RateLimit", "slow", retryable=True, retry_after=2.0, field="f", duration=1.0)
    assert answered(Raise(1, error)) == Fault(1, error)


def test_a_hostile_error_is_one_short_line() -> None:
    answer = answered(Raise(1, ErrorInfo("Script", "a\n\x1b[2J" * 5000, field="f\n" * 900)))
    assert isinstance(answer, Fault)
    assert len(answer.error.message) <= 500
    assert "\n" not in answer.error.message
    assert "\x1b" not in answer.error.message
    assert len(answer.error.field or "") <= 500


def test_a_value_over_max_request_is_an_error() -> None:
    answer = answered(Return(1, Raw(pack("x" * 2000))))
    assert isinstance(answer, Fault)
    assert answer.error.kind == "Limit"


@pytest.mark.attack("B31")
@pytest.mark.parametrize("again", [Return(2, NULL), Raise(1, ErrorInfo("Script", "x"))])
def test_an_answer_to_what_was_never_asked_is_a_violation(again: Return | Raise) -> None:
    async def script(peer: Peer, _: Caller) -> None:
        peer.send(call(1, "call"))
        await peer.receive()
        peer.send(Return(1, NULL))
        peer.connection._ledger._invocations |= {1, 2}
        peer.send(again)

    assert play(script)[0].verdict == "protocol_violation"


def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    heard: list[Any] = []

    async def script(peer: Peer, bridge: Caller) -> None:
        peer.send(call(1, "first"))
        assert isinstance(await peer.receive(), Invoke)
        bridge.log.append("give up")
        assert await peer.receive() == Invoke(2, 1, Raw(pack([])))
        peer.send(Return(1, Raw(pack("late"))), Return(2, Raw(pack("right"))))
        heard.append(await peer.receive())
        peer.send(Result(NULL))

    assert play(script)[0].verdict == "ok"
    assert unpack(heard[0].value) == "right"


def test_the_verdict_ends_what_waits_for_a_function() -> None:
    async def script(peer: Peer, _: Caller) -> None:
        peer.send(call(1, "call"))
        await peer.receive()
        peer.send(Result(NULL))

    report, bridge = play(script)
    assert (report.verdict, bridge.log) == ("ok", ["over"])


@pytest.mark.attack("B31")
def test_a_task_that_a_bridge_left_behind_calls_nothing_after_the_verdict() -> None:
    async def script(peer: Peer, _: Caller) -> None:
        peer.send(call(1, "call"), call(2, "remember"))
        for _answer in range(3):
            await peer.receive()
        peer.send(Result(NULL))

    report, bridge = play(script)
    assert report.verdict == "ok"
    assert sorted(bridge.log) == ["over", "the script has ended", "the script has ended"]


def test_without_an_open_call_a_function_cannot_be_called() -> None:
    async def script(peer: Peer, bridge: Caller) -> None:
        peer.send(call(1, "remember"))
        while not isinstance(message := await peer.receive(), Reply):
            peer.send(Return(message.id, NULL))  # type: ignore[union-attr]
        context = bridge.context
        assert context is not None
        with pytest.raises(ScriptError, match="no call of the script is open"):
            await context.invoke(ScriptFunction(1))
        peer.send(Result(NULL))

    assert play(script)[0].verdict == "ok"


@pytest.mark.attack("B30")
def test_a_function_that_never_answers_ends_by_the_time_of_the_run() -> None:
    async def script(peer: Peer, _: Caller) -> None:
        peer.send(call(1, "call"))
        await asyncio.Event().wait()

    report, bridge = play(script, timeout=0.2, request_timeout=0.01)
    assert (report.verdict, bridge.log) == ("wall_limit", ["over"])


def test_objects_are_closed_at_the_end_of_the_run() -> None:
    async def script(peer: Peer, bridge: Caller) -> None:
        peer.send(call(1, "ghost"))
        answer = await peer.receive()
        assert isinstance(answer, Reply)
        assert unpack(answer.value) == 1
        assert bridge.log == []
        peer.send(Result(NULL))

    assert play(script)[1].log == ["closed"]
