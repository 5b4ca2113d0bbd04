"""How a bridge is declared, and what the supervisor gets from the declaration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from llmspell_bridges import (
    Bridge,
    BridgeConfig,
    BridgeError,
    BridgeRegistry,
    BudgetExceeded,
    CallContext,
    End,
    is_granted,
    method,
)
from llmspell_protocol import Binding
from llmspell_testkit import Clock as Time
from tests.bridges.host import Host, pack

CANARY = "sk-canary-0123456789"


class Moment(msgspec.Struct):
    """A moment."""

    at: float
    zone: str | msgspec.UnsetType = msgspec.UNSET


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """Options."""

    zone: str = "UTC"
    offset: int = 0


class Clock(Bridge):
    """A bridge with one method of every kind."""

    name = "clock"
    config = BridgeConfig

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.closed = 0
        self.freed = asyncio.Event()

    async def close(self) -> None:
        """Count."""
        self.closed += 1

    @method
    async def now(self, ctx: CallContext, options: Options | None = None) -> Moment:
        """The time in a zone.

        Not part of the summary.
        """
        return Moment(1.5) if options is None else Moment(1.5, options.zone)

    @method
    async def ticks(
        self, ctx: CallContext, count: int, size: int = 0
    ) -> AsyncIterator[str | End[Moment]]:
        """Some ticks, and when they were over."""
        try:
            for number in range(count):
                yield str(number) + "." * size
            yield End(Moment(float(count)))
        finally:
            self.freed.set()

    @method
    async def forever(self, ctx: CallContext) -> None:
        """Never answer."""
        await asyncio.Event().wait()

    @method
    async def silence(self, ctx: CallContext) -> AsyncIterator[str]:
        """Yield once, then nothing."""
        yield "only"
        await asyncio.Event().wait()

    @method
    async def fail(self, ctx: CallContext, how: str) -> Any:
        """Fail as asked."""
        if how == "script":
            raise BridgeError("RateLimit", "slow\ndown\x1b[31m", retryable=True, retry_after=2.0)
        if how == "budget":
            raise BudgetExceeded("tokens", asked=2, left=1)
        if how == "value":
            return {1: object()}
        raise RuntimeError(f"cannot use {CANARY}")

    async def secret(self) -> str:
        """Not a method for scripts."""
        return CANARY


def failure(host: Host, name: str, *args: Any, time: Time | None = None) -> BridgeError:
    """The error of a call."""
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call(name, *args), clock=time)
    return caught.value


def test_a_call_takes_and_returns_plain_values() -> None:
    host = Host(Clock())
    found = host.run(lambda: host.call("clock.now", {"zone": "CET"}))
    assert found == {"at": 1.5, "zone": "CET"}


def test_a_field_that_is_not_set_is_left_out_of_the_answer() -> None:
    host = Host(Clock())
    assert host.run(lambda: host.call("clock.now")) == {"at": 1.5}


def test_a_stream_yields_its_chunks_and_then_its_closing_value() -> None:
    host = Host(Clock())
    assert host.run(lambda: host.drain("clock.ticks", 3)) == (["0", "1", "2"], {"at": 3.0})


def test_a_stream_runs_only_while_its_reader_waits_for_a_chunk() -> None:
    clock = Clock()
    host = Host(clock)

    async def work() -> None:
        stream = host.open("clock.ticks", 1_000_000)
        assert msgspec.msgpack.decode(await anext(stream)) == "0"
        assert not clock.freed.is_set()
        await stream.aclose()
        assert clock.freed.is_set()
        assert stream.closing == b"\xc0"

    host.run(work)


def test_methods_are_exactly_those_that_are_marked() -> None:
    registry = BridgeRegistry([Clock()])
    assert registry.manifest(["clock", "unknown"]) == {
        "clock": {
            "fail": Binding("call"),
            "forever": Binding("call"),
            "now": Binding("call"),
            "silence": Binding("stream"),
            "ticks": Binding("stream"),
        }
    }
    assert registry.manifest([]) == {}


def test_a_method_is_granted_by_its_own_name_or_its_bridges() -> None:
    registry = BridgeRegistry([Clock()])
    assert registry.manifest(["clock.now", "clock.ticks", "clock.n"]) == {
        "clock": {"now": Binding("call"), "ticks": Binding("stream")}
    }
    assert is_granted("llm.agent.run", ["llm.agent"])
    assert not is_granted("llm.agents", ["llm.agent"])
    assert not is_granted("llm.agent", ["llm.agent.run", "ll", ""])


@pytest.mark.parametrize("name", ["clock.secret", "clock.__init__", "clock.close", "now", ""])
def test_what_is_not_marked_cannot_be_reached(name: str) -> None:
    assert BridgeRegistry([Clock()]).get(name) is None


class Plain(Bridge):
    """Methods that wait for nothing."""

    name = "plain"

    @method
    def double(self, ctx: CallContext, number: int) -> int:
        """Twice as much."""
        if number < 0:
            raise RuntimeError(f"cannot use {CANARY}")
        return 2 * number


def test_a_method_that_waits_for_nothing_may_be_a_plain_function() -> None:
    host = Host(Plain(BridgeConfig()))
    assert host.run(lambda: host.call("plain.double", 4)) == 8
    bound = host.registry.get("plain.double")
    assert bound is not None
    assert (bound.kind, bound.waits, bound.describe().result) == ("call", False, "integer")
    assert all(m.waits for m in BridgeRegistry([Clock()]).methods)
    assert failure(host, "plain.double", "4").kind == "Validation"
    error = failure(host, "plain.double", -1)
    assert (error.kind, CANARY in repr(error.info())) == ("Internal", False)


def test_a_generator_that_is_not_async_is_no_method() -> None:
    class Odd(Bridge):
        name = "odd"

        @method
        def numbers(self, ctx: CallContext) -> Iterator[int]:
            """Not a stream."""
            yield 1

    with pytest.raises(TypeError, match=r"odd\.numbers is a generator"):
        BridgeRegistry([Odd(BridgeConfig())])


def test_info_is_derived_from_the_declaration() -> None:
    host = Host(Clock())
    now = host.registry.get("clock.now")
    ticks = host.registry.get("clock.ticks")
    assert now is not None
    assert ticks is not None
    described = now.describe()
    assert (described.name, described.kind) == ("clock.now", "call")
    assert described.doc == "The time in a zone."
    assert [o.name for o in described.parameters[0].options] == ["zone", "offset"]
    assert (ticks.describe().result, ticks.describe().closing) == ("string", "Moment")


@pytest.mark.parametrize(
    ("args", "field", "said"),
    [
        (({"zome": "CET"},), "zome", "did you mean 'zone'"),
        (({"offset": "1"},), "offset", "integer"),
        (({}, 1), None, "argument"),
    ],
)
def test_arguments_that_do_not_fit_name_the_field(
    args: tuple[Any, ...], field: str | None, said: str
) -> None:
    error = failure(Host(Clock()), "clock.now", *args)
    assert (error.kind, error.field, error.retryable) == ("Validation", field, False)
    assert said in error.message
    assert error.message.startswith("clock.now: ")


def test_a_call_that_takes_too_long_is_a_timeout_with_its_duration() -> None:
    time = Time()
    error = failure(Host(Clock(), request_timeout=30), "clock.forever", time=time)
    assert (error.kind, error.duration, error.retryable) == ("Timeout", 30, True)
    assert time.now == pytest.approx(30)


def test_a_call_never_outlasts_the_run() -> None:
    error = failure(Host(Clock(), timeout=0.05, request_timeout=3600), "clock.forever")
    assert error.kind == "Timeout"
    assert error.duration is not None
    assert error.duration <= 0.05


def test_a_stream_that_falls_silent_is_a_timeout() -> None:
    host = Host(Clock(), request_timeout=30)
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.drain("clock.silence"), clock=Time())
    assert caught.value.kind == "Timeout"


def test_an_answer_over_max_response_is_refused() -> None:
    error = failure(Host(Clock(), max_response=3), "clock.now")
    assert error.kind == "Limit"


def test_a_stream_over_max_response_in_all_ends_and_frees_its_source() -> None:
    clock = Clock()
    host = Host(clock, max_response=250)

    async def work() -> list[bytes]:
        chunks = []
        with pytest.raises(BridgeError) as caught:
            async for chunk in host.open("clock.ticks", 1_000_000, 100):
                chunks.append(chunk)  # noqa: PERF401 - what came before the error
        assert caught.value.kind == "Limit"
        return chunks

    assert len(host.run(work)) == 2
    assert clock.freed.is_set()


def test_an_error_for_the_script_keeps_its_details_on_one_line() -> None:
    error = failure(Host(Clock()), "clock.fail", "script")
    info = error.info()
    assert (info.kind, info.retryable, info.retry_after) == ("RateLimit", True, 2.0)
    assert info.message == "slow down [31m"


def test_a_bug_of_a_bridge_does_not_tell_the_script_what_it_knows() -> None:
    error = failure(Host(Clock()), "clock.fail", "bug")
    assert error.kind == "Internal"
    assert CANARY not in repr(error.info())
    assert isinstance(error.__cause__, RuntimeError)


def test_an_answer_that_is_no_script_value_is_a_conversion_error() -> None:
    assert failure(Host(Clock()), "clock.fail", "value").kind == "Conversion"


def test_a_budget_that_is_used_up_is_no_error_for_the_script() -> None:
    host = Host(Clock())
    with pytest.raises(BudgetExceeded):
        host.run(lambda: host.call("clock.fail", "budget"))


def test_a_cancelled_call_is_cancelled_and_nothing_else() -> None:
    host = Host(Clock())

    async def work() -> None:
        task = asyncio.create_task(host.call("clock.forever"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    host.run(work)


def test_the_registry_closes_each_bridge_once() -> None:
    clock = Clock()
    host = Host(clock)
    host.run(lambda: host.call("clock.now"))
    assert clock.closed == 1


def test_a_bridge_that_does_not_close_does_not_keep_the_others_open() -> None:
    class Stuck(Clock):
        name = "stuck"

        async def close(self) -> None:
            raise OSError("no")

    clock = Clock()
    with pytest.raises(ExceptionGroup):
        asyncio.run(BridgeRegistry([Stuck(), clock]).close())
    assert clock.closed == 1


def test_a_name_is_taken_once_and_is_a_plain_identifier() -> None:
    registry = BridgeRegistry([Clock()])
    with pytest.raises(ValueError, match="already"):
        registry.add(Clock())

    class Odd(Clock):
        name = "a.b"

    with pytest.raises(ValueError, match="legal"):
        registry.add(Odd())


def test_a_removed_bridge_is_closed_and_makes_room_for_another_of_its_name() -> None:
    old, new = Clock(), Clock()
    other = type("Other", (Clock,), {"name": "other"})()
    registry = BridgeRegistry([old, other])
    asyncio.run(registry.remove("clock"))
    assert (old.closed, other.closed) == (1, 0)
    assert registry.get("clock.now") is None
    assert registry.manifest(["clock", "other"]).keys() == {"other"}
    with pytest.raises(LookupError, match="'clock'"):
        asyncio.run(registry.remove("clock"))
    registry.add(new)
    assert registry.names == ("clock", "other")
    asyncio.run(registry.close())
    assert (old.closed, new.closed) == (1, 1)


def test_arguments_that_are_no_msgpack_are_a_validation_error() -> None:
    host = Host(Clock())
    bound = host.registry.get("clock.now")
    assert bound is not None

    async def work() -> None:
        with pytest.raises(BridgeError) as caught:
            await bound.call(host.context, pack(())[:0] + b"\xc1")
        assert caught.value.kind == "Validation"

    host.run(work)
